// Uploads five bytes to Perfect Corp with Node's module https.
import https from "node:https";

function call(url, options, body) {
  return new Promise((resolve, reject) => {
    const request = https.request(url, options, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve([response.statusCode, text]));
    });
    request.on("error", reject);
    request.end(body);
  });
}

const files = [{ content_type: "image/jpg", file_name: "a.jpg", file_size: 5 }];
const headers = { Authorization: "Bearer k", "Content-Type": "application/json" };
const url = "https://yce-api-01.makeupar.com/s2s/v2.0/file";
const [, text] = await call(url, { method: "POST", headers }, JSON.stringify({ files }));
const request = JSON.parse(text).data.files[0].requests[0];
const [status] = await call(request.url, { method: "PUT", headers: request.headers }, "12345");
console.log("done", status);
