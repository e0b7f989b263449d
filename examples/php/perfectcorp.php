<?php
// Reshapes the face in a photo with Perfect Corp: php perfectcorp.php PICTURE [FOLDER]
//
// Writes reshaped.jpg, or reshaped.png. Needs PHP 7.4 with the curl extension.

declare(strict_types=1);

const TASKS = '/s2s/v2.0/task/face-reshape';
/** What to change, from -100 to 100. Features that are not listed stay as they are. */
const FEATURES = ['eye_size' => 60, 'face_width' => -50, 'lip_size' => 40];

const TIMEOUT_SECONDS = 60;
/** Seconds to wait before each retry of a call that exceeded the rate limit. */
const RETRY_WAITS = [1, 2, 4, 8];
const POLL_SECONDS = 1;
const DEADLINE_SECONDS = 120;

final class PerfectCorp
{
    private string $baseUrl;
    private string $key;

    public function __construct(string $baseUrl, string $key)
    {
        $this->baseUrl = $baseUrl;
        $this->key = $key;
    }

    /** Registers a picture, uploads it, and returns its file id. */
    public function upload(string $path): string
    {
        $picture = file_get_contents($path);
        $isPng = strtolower(pathinfo($path, PATHINFO_EXTENSION)) === 'png';
        $file = $this->call('POST', '/s2s/v2.0/file', [
            'files' => [[
                'content_type' => $isPng ? 'image/png' : 'image/jpg',
                'file_name' => basename($path),
                'file_size' => strlen($picture),
            ]],
        ])['files'][0];
        // The URL is signed. With an Authorization header, the store would refuse the request.
        ['method' => $method, 'url' => $url, 'headers' => $headers] = $file['requests'][0];
        $lines = array_map(fn ($name, $value) => "$name: $value", array_keys($headers), $headers);
        self::request($method, $url, $lines, $picture);
        return $file['file_id'];
    }

    /** Starts a task, and returns its id. */
    public function reshape(string $fileId): string
    {
        return $this->call('POST', TASKS, [
            'version' => '1.0',
            'src_file_id' => $fileId,
            'features' => FEATURES,
            'global' => new stdClass(), // {} in JSON
        ])['task_id'];
    }

    /** Polls a task until it is finished, and returns the URL of its result. */
    public function wait(string $taskId): string
    {
        $deadline = hrtime(true) + DEADLINE_SECONDS * 1e9;
        while (hrtime(true) < $deadline) {
            $task = $this->call('GET', TASKS . "/$taskId");
            if ($task['task_status'] === 'success') {
                return $task['results']['url'];
            }
            if ($task['task_status'] === 'error') {
                throw new RuntimeException(
                    implode(': ', array_filter([$task['error'], $task['error_message'] ?? null]))
                );
            }
            sleep(POLL_SECONDS);
        }
        throw new RuntimeException("the task $taskId still runs after " . DEADLINE_SECONDS . ' seconds');
    }

    /** Calls the API, and returns the member `data` of the response. */
    private function call(string $method, string $path, ?array $body = null): array
    {
        $headers = ["Authorization: Bearer {$this->key}", 'Content-Type: application/json'];
        $json = $body === null ? null : json_encode($body, JSON_THROW_ON_ERROR);
        $text = self::request($method, $this->baseUrl . $path, $headers, $json);
        return json_decode($text, true, 512, JSON_THROW_ON_ERROR)['data'];
    }

    /** Returns the body of a response, if its status reports success. */
    public static function request(string $method, string $url, array $headers = [], ?string $body = null): string
    {
        $handle = curl_init($url);
        curl_setopt_array($handle, [
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $headers,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_CONNECTTIMEOUT => 10,
            CURLOPT_TIMEOUT => TIMEOUT_SECONDS,
        ]);
        if ($body !== null) {
            curl_setopt($handle, CURLOPT_POSTFIELDS, $body);
        }
        foreach ([...RETRY_WAITS, null] as $wait) {
            $text = curl_exec($handle);
            if ($text === false) {
                throw new RuntimeException(curl_error($handle));
            }
            $status = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
            if ($status !== 429 || $wait === null) {
                break;
            }
            sleep($wait);
        }
        if ($status === 200) {
            return $text;
        }
        // The API's errors are JSON, and the store's are XML.
        $reason = json_decode($text, true)['error'] ?? null;
        if ($reason === null && preg_match('~<Message>(.*?)</Message>~', $text, $found)) {
            $reason = $found[1];
        }
        throw new RuntimeException($reason === null ? "HTTP $status" : "$reason (HTTP $status)");
    }
}

// Makes warnings, such as that of a file that cannot be written, end the program.
set_error_handler(static function (int $level, string $message): bool {
    throw new ErrorException($message, 0, $level);
}, E_WARNING | E_NOTICE);

$key = getenv('PERFECTCORP_KEY');
if ($argc < 2 || $argc > 3 || !$key) {
    fwrite(STDERR, "usage: php {$argv[0]} PICTURE [FOLDER]\nSet the environment variable PERFECTCORP_KEY.\n");
    exit(2);
}
$folder = $argv[2] ?? '.';
try {
    $client = new PerfectCorp(getenv('PERFECTCORP_URL') ?: 'https://yce-api-01.makeupar.com', $key);
    $url = $client->wait($client->reshape($client->upload($argv[1])));
    $result = PerfectCorp::request('GET', $url);
    if (!is_dir($folder)) {
        mkdir($folder, 0777, true);
    }
    $path = "$folder/reshaped." . pathinfo(parse_url($url, PHP_URL_PATH), PATHINFO_EXTENSION);
    file_put_contents($path, $result);
    echo "$path\n";
} catch (Exception $error) {
    fwrite(STDERR, "error: {$error->getMessage()}\n");
    exit(1);
}
