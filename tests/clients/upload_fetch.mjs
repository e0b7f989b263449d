// Uploads five bytes to Perfect Corp with fetch.
const asked = await fetch("https://yce-api-01.makeupar.com/s2s/v2.0/file", {
  method: "POST",
  headers: { Authorization: "Bearer k", "Content-Type": "application/json" },
  body: JSON.stringify({ files: [{ content_type: "image/jpg", file_name: "a.jpg", file_size: 5 }] }),
});
const request = (await asked.json()).data.files[0].requests[0];
const upload = await fetch(request.url, { method: "PUT", headers: request.headers, body: "12345" });
console.log("done", upload.status);
