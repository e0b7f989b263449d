// Uploads five bytes to Perfect Corp with axios.
import { createRequire } from "node:module";

const axios = createRequire(process.cwd() + "/")("axios");
const files = [{ content_type: "image/jpg", file_name: "a.jpg", file_size: 5 }];
const asked = await axios.post(
  "https://yce-api-01.makeupar.com/s2s/v2.0/file",
  { files },
  { headers: { Authorization: "Bearer k" } },
);
const request = asked.data.data.files[0].requests[0];
const upload = await axios.put(request.url, Buffer.from("12345"), { headers: request.headers });
console.log("done", upload.status);
