<?php
// Receives Perfect Corp's webhooks: php -S 127.0.0.1:9000 perfectcorp-webhooks.php
//
// Writes the result of each task that succeeds to <task id>.jpg, in the folder FOLDER or in the current one.
// Needs PHP 7.4 with the curl extension.

declare(strict_types=1);

/** Perfect Corp waits for our response, so these are few. */
const TIMEOUT_SECONDS = 10;
/** Largest age of a message. An older one could be a copy that somebody recorded. */
const TOLERANCE_SECONDS = 300;
const MOST_BYTES = 65536;

final class WrongSignature extends RuntimeException
{
}

/** Returns the content of a message, if its signature and timestamp are right by Standard Webhooks. */
function verify(array $server, string $body, string $secret): array
{
    $id = $server['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $server['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_SECONDS) {
        throw new WrongSignature('the timestamp is missing, or too far from now');
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret));
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    // While a secret is replaced, a message has several signatures.
    foreach (explode(' ', $server['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $signature) {
        if (hash_equals($expected, $signature)) {
            return json_decode($body, true, 512, JSON_THROW_ON_ERROR);
        }
    }
    throw new WrongSignature('no signature matches');
}

function get(string $url, array $headers = []): string
{
    $handle = curl_init($url);
    curl_setopt_array($handle, [
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => TIMEOUT_SECONDS,
    ]);
    $body = curl_exec($handle);
    if ($body === false) {
        throw new RuntimeException(curl_error($handle));
    }
    $status = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
    if ($status !== 200) {
        throw new RuntimeException("HTTP $status");
    }
    return $body;
}

/** Downloads the result of a finished task, and returns what happened. */
function saveResult(string $taskId, string $folder): string
{
    $path = "$folder/$taskId.jpg";
    if (file_exists($path)) {
        return 'already saved'; // Perfect Corp has sent the message twice
    }
    $url = (getenv('PERFECTCORP_URL') ?: 'https://yce-api-01.makeupar.com') . "/s2s/v2.0/task/face-reshape/$taskId";
    $answer = get($url, ['Authorization: Bearer ' . getenv('PERFECTCORP_KEY')]);
    $task = json_decode($answer, true, 512, JSON_THROW_ON_ERROR)['data'];
    if ($task['task_status'] === 'error') {
        return "failed: {$task['error']}";
    }
    if ($task['task_status'] !== 'success') {
        throw new RuntimeException("the task $taskId is not finished");
    }
    file_put_contents($path, get($task['results']['url']));
    return "saved as $path";
}

$secret = getenv('PERFECTCORP_WEBHOOK_SECRET');
if (!$secret || !getenv('PERFECTCORP_KEY')) {
    error_log('error: set the environment variables PERFECTCORP_KEY and PERFECTCORP_WEBHOOK_SECRET');
    http_response_code(500);
    return;
}
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    http_response_code(405);
    return;
}
// Any status but 2xx makes Perfect Corp send the message again later.
try {
    $body = (string) file_get_contents('php://input', false, null, 0, MOST_BYTES);
    $taskId = verify($_SERVER, $body, $secret)['data']['task_id'];
    error_log("$taskId: " . saveResult($taskId, getenv('FOLDER') ?: '.'));
    http_response_code(204);
} catch (WrongSignature $refusal) {
    error_log("refused: {$refusal->getMessage()}");
    http_response_code(401);
} catch (Throwable $error) {
    error_log("error: {$error->getMessage()}");
    http_response_code(500);
}
