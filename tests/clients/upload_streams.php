<?php
// Uploads five bytes to Perfect Corp with PHP's streams.
function call(string $method, string $url, string $headers, string $body): string {
    $options = ['http' => ['method' => $method, 'header' => $headers, 'content' => $body]];
    $text = file_get_contents($url, false, stream_context_create($options));
    if ($text === false) exit("failed\n");
    return $text;
}

$files = ['files' => [['content_type' => 'image/jpg', 'file_name' => 'a.jpg', 'file_size' => 5]]];
$text = call('POST', 'https://yce-api-01.makeupar.com/s2s/v2.0/file',
    "Authorization: Bearer k\r\nContent-Type: application/json", json_encode($files));
$request = json_decode($text, true)['data']['files'][0]['requests'][0];
call('PUT', $request['url'], 'Content-Type: ' . $request['headers']['Content-Type'], '12345');
echo "done 200\n";
