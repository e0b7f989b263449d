<?php
// Reconstructs a head from a photo with Face++: php faceplusplus.php PICTURE [FOLDER]
//
// Writes face.obj, face.mtl and tex.jpg. Needs PHP 7.4 with the curl extension.

declare(strict_types=1);

const TIMEOUT_SECONDS = 60;

/** Errors after which Face++ accepts the same request later. */
const RETRIED = ['CONCURRENCY_LIMIT_EXCEEDED', 'INTERNAL_ERROR'];
/** Seconds to wait before each retry. */
const RETRY_WAITS = [1, 2, 4, 8];

/** Members of the response by file name. The OBJ refers to the MTL by this name, and the MTL to the JPEG. */
const FILES = ['face.obj' => 'obj_file', 'face.mtl' => 'mtl_file', 'tex.jpg' => 'texture_img'];

/** Returns the response to a request with one picture. */
function reconstruct(string $picture, string $key, string $secret): array
{
    $handle = curl_init((getenv('FACEPLUSPLUS_URL') ?: 'https://api-us.faceplusplus.com') . '/facepp/v1/3dface');
    curl_setopt_array($handle, [
        CURLOPT_POSTFIELDS => [
            'api_key' => $key,
            'api_secret' => $secret,
            'texture' => '1',
            'mtl' => '1',
            'image_file_1' => new CURLFile($picture, 'image/jpeg', 'photo.jpg'),
        ],
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT => 10,
        CURLOPT_TIMEOUT => TIMEOUT_SECONDS,
    ]);
    foreach ([...RETRY_WAITS, null] as $wait) {
        $text = curl_exec($handle);
        if ($text === false) {
            throw new RuntimeException(curl_error($handle));
        }
        $status = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
        if ($status === 200) {
            return json_decode($text, true, 512, JSON_THROW_ON_ERROR);
        }
        // Some errors, such as 413, are not JSON.
        $message = json_decode($text, true)['error_message'] ?? null;
        if ($wait === null || !in_array($message, RETRIED, true)) {
            break;
        }
        sleep($wait);
    }
    throw new RuntimeException($message === null ? "HTTP $status" : "$message (HTTP $status)");
}

// Makes warnings, such as that of a file that cannot be written, end the program.
set_error_handler(static function (int $level, string $message): bool {
    throw new ErrorException($message, 0, $level);
}, E_WARNING | E_NOTICE);

[$key, $secret] = [getenv('FACEPLUSPLUS_API_KEY'), getenv('FACEPLUSPLUS_API_SECRET')];
if ($argc < 2 || $argc > 3 || !$key || !$secret) {
    fwrite(STDERR, "usage: php {$argv[0]} PICTURE [FOLDER]\n"
        . "Set the environment variables FACEPLUSPLUS_API_KEY and FACEPLUSPLUS_API_SECRET.\n");
    exit(2);
}
$folder = $argv[2] ?? '.';
try {
    if (!is_readable($argv[1])) {
        throw new RuntimeException("{$argv[1]} cannot be read"); // curl's own message does not say this
    }
    $answer = reconstruct($argv[1], $key, $secret);
    if (!is_dir($folder)) {
        mkdir($folder, 0777, true);
    }
    foreach (FILES as $name => $member) {
        file_put_contents("$folder/$name", base64_decode($answer[$member], true));
        echo "$folder/$name\n";
    }
} catch (Exception $error) {
    fwrite(STDERR, "error: {$error->getMessage()}\n");
    exit(1);
}
