<?php
// Uploads five bytes to Perfect Corp with PHP's curl extension.
function call(string $method, string $url, array $headers, string $body): array {
    $handle = curl_init($url);
    curl_setopt_array($handle, [
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_POSTFIELDS => $body,
        CURLOPT_RETURNTRANSFER => true,
    ]);
    $text = curl_exec($handle);
    if ($text === false) exit(curl_error($handle));
    return [curl_getinfo($handle, CURLINFO_RESPONSE_CODE), $text];
}

$files = ['files' => [['content_type' => 'image/jpg', 'file_name' => 'a.jpg', 'file_size' => 5]]];
[, $text] = call('POST', 'https://yce-api-01.makeupar.com/s2s/v2.0/file',
    ['Authorization: Bearer k', 'Content-Type: application/json'], json_encode($files));
$request = json_decode($text, true)['data']['files'][0]['requests'][0];
[$status] = call('PUT', $request['url'], ['Content-Type: ' . $request['headers']['Content-Type']], '12345');
echo "done $status\n";
