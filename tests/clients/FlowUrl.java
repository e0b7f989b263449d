import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The same as Flow.java with HttpURLConnection: java FlowUrl.java PICTURE [PERFECT_CORP FACE_PLUS_PLUS]. */
public class FlowUrl {
    static final Map<String, String> JSON = Map.of("Authorization", "Bearer k", "Content-Type", "application/json");

    public static void main(String[] arguments) throws Exception {
        byte[] picture = Files.readAllBytes(Path.of(arguments[0]));
        String perfectCorp = arguments.length > 1 ? arguments[1] : "https://yce-api-01.makeupar.com";
        String facePlusPlus = arguments.length > 2 ? arguments[2] : "https://api-us.faceplusplus.com";

        String file = text(call("POST", perfectCorp + "/s2s/v2.0/file", JSON, String.format(
            "{\"files\":[{\"content_type\":\"image/jpg\",\"file_name\":\"a.jpg\",\"file_size\":%d}]}",
            picture.length).getBytes()));
        call("PUT", member(file, "url"), Map.of("Content-Type", "image/jpg"), picture);
        String task = member(text(call("POST", perfectCorp + "/s2s/v2.0/task/face-reshape", JSON, String.format(
            "{\"src_file_id\":\"%s\",\"version\":\"1.0\",\"features\":{\"eye_size\":50},\"global\":{}}",
            member(file, "file_id")).getBytes())), "task_id");
        String state;
        do {
            Thread.sleep(50);
            state = text(call("GET", perfectCorp + "/s2s/v2.0/task/face-reshape/" + task, JSON, null));
        } while (member(state, "task_status").equals("running"));
        byte[] result = call("GET", member(state, "url"), Map.of(), null);

        ByteArrayOutputStream form = new ByteArrayOutputStream();
        form.write(("--b\r\nContent-Disposition: form-data; name=\"api_key\"\r\n\r\nk\r\n"
            + "--b\r\nContent-Disposition: form-data; name=\"api_secret\"\r\n\r\ns\r\n"
            + "--b\r\nContent-Disposition: form-data; name=\"image_file_1\"; filename=\"a.jpg\"\r\n"
            + "Content-Type: image/jpeg\r\n\r\n").getBytes());
        form.write(picture);
        form.write("\r\n--b--\r\n".getBytes());
        String face = text(call("POST", facePlusPlus + "/facepp/v1/3dface",
            Map.of("Content-Type", "multipart/form-data; boundary=b"), form.toByteArray()));
        if (member(face, "obj_file").length() < 1000) throw new AssertionError(face);
        System.out.println("done " + result.length);
    }

    static byte[] call(String method, String url, Map<String, String> headers, byte[] body) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) new URL(url).openConnection();
        connection.setRequestMethod(method);
        headers.forEach(connection::setRequestProperty);
        if (body != null) {
            connection.setDoOutput(true);
            connection.setFixedLengthStreamingMode(body.length);
            try (OutputStream out = connection.getOutputStream()) {
                out.write(body);
            }
        }
        if (connection.getResponseCode() != 200) throw new AssertionError(url + " " + connection.getResponseCode());
        try (InputStream in = connection.getInputStream()) {
            return in.readAllBytes();
        }
    }

    static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    static String member(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":\\s*\"([^\"]*)\"").matcher(json);
        if (!found.find()) throw new AssertionError("no " + name + " in " + json);
        return found.group(1);
    }
}
