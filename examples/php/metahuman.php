<?php
// Describes a head in a photo with MetaHuman SDK: php metahuman.php PICTURE [FOLDER]
//
// Writes metahuman.json, with 80 shape coefficients and the attributes, and texture.png. Needs PHP 7.4 with
// the curl extension.

declare(strict_types=1);

const TIMEOUT_SECONDS = 60;

/** Returns the body of a response. If there are fields, they are posted as a form. */
function fetch(string $url, ?array $fields = null): string
{
    $handle = curl_init($url);
    curl_setopt_array($handle, [
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT => 10,
        CURLOPT_TIMEOUT => TIMEOUT_SECONDS,
    ]);
    if ($fields !== null) {
        curl_setopt($handle, CURLOPT_POSTFIELDS, $fields);
    }
    $body = curl_exec($handle);
    if ($body === false) {
        throw new RuntimeException(curl_error($handle));
    }
    $status = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
    if ($status === 200) {
        return $body;
    }
    // An error of a proxy has no message.
    $answer = json_decode($body, true);
    $message = $answer['error']['message'] ?? null;
    $code = $answer['error']['code'] ?? null;
    throw new RuntimeException($message === null ? "HTTP $status" : "$message (code $code, HTTP $status)");
}

// Makes warnings, such as that of a file that cannot be written, end the program.
set_error_handler(static function (int $level, string $message): bool {
    throw new ErrorException($message, 0, $level);
}, E_WARNING | E_NOTICE);

$baseUrl = getenv('METAHUMAN_URL') ?: 'https://api.metahumansdk.io';
$token = getenv('METAHUMAN_TOKEN');
if ($argc < 2 || $argc > 3 || !$token) {
    fwrite(STDERR, "usage: php {$argv[0]} PICTURE [FOLDER]\nSet the environment variable METAHUMAN_TOKEN.\n");
    exit(2);
}
$folder = $argv[2] ?? '.';
try {
    if (!is_readable($argv[1])) {
        throw new RuntimeException("{$argv[1]} cannot be read"); // curl's own message does not say this
    }
    $answer = fetch("$baseUrl/face_recon/run_pipeline", [
        'token' => $token,
        'image_bytes' => new CURLFile($argv[1]),
    ]);
    $result = json_decode($answer, true, 512, JSON_THROW_ON_ERROR)['result'];
    // The response has only the path of the texture.
    $texture = fetch($baseUrl . $result['face']['textureUrl']);

    if (!is_dir($folder)) {
        mkdir($folder, 0777, true);
    }
    foreach (['metahuman.json' => $answer, 'texture.png' => $texture] as $name => $content) {
        file_put_contents("$folder/$name", $content);
        echo "$folder/$name\n";
    }
} catch (Exception $error) {
    fwrite(STDERR, "error: {$error->getMessage()}\n");
    exit(1);
}
