import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reshapes a picture and reconstructs a face: java Flow.java PICTURE [PERFECT_CORP FACE_PLUS_PLUS]. */
public class Flow {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        byte[] picture = Files.readAllBytes(Path.of(arguments[0]));
        String perfectCorp = arguments.length > 1 ? arguments[1] : "https://yce-api-01.makeupar.com";
        String facePlusPlus = arguments.length > 2 ? arguments[2] : "https://api-us.faceplusplus.com";

        String file = text(post(perfectCorp + "/s2s/v2.0/file", String.format(
            "{\"files\":[{\"content_type\":\"image/jpg\",\"file_name\":\"a.jpg\",\"file_size\":%d}]}",
            picture.length)));
        HttpRequest upload = HttpRequest.newBuilder(URI.create(member(file, "url")))
            .header("Content-Type", "image/jpg").PUT(BodyPublishers.ofByteArray(picture)).build();
        expect(200, CLIENT.send(upload, BodyHandlers.ofString()).statusCode());

        String task = member(text(post(perfectCorp + "/s2s/v2.0/task/face-reshape", String.format(
            "{\"src_file_id\":\"%s\",\"version\":\"1.0\",\"features\":{\"eye_size\":50},\"global\":{}}",
            member(file, "file_id")))), "task_id");
        String state;
        do {
            Thread.sleep(50);
            state = text(HttpRequest.newBuilder(URI.create(perfectCorp + "/s2s/v2.0/task/face-reshape/" + task))
                .header("Authorization", "Bearer k"));
        } while (member(state, "task_status").equals("running"));
        expect("success", member(state, "task_status"));
        HttpResponse<byte[]> result = CLIENT.send(
            HttpRequest.newBuilder(URI.create(member(state, "url"))).build(), BodyHandlers.ofByteArray());
        expect(200, result.statusCode());
        expect("image/jpeg", result.headers().firstValue("Content-Type").orElse(""));

        String boundary = "boundary";
        byte[] head = ("--" + boundary + "\r\nContent-Disposition: form-data; name=\"api_key\"\r\n\r\nk\r\n--"
            + boundary + "\r\nContent-Disposition: form-data; name=\"api_secret\"\r\n\r\ns\r\n--" + boundary
            + "\r\nContent-Disposition: form-data; name=\"image_file_1\"; filename=\"a.jpg\"\r\n"
            + "Content-Type: image/jpeg\r\n\r\n").getBytes();
        byte[] end = ("\r\n--" + boundary + "--\r\n").getBytes();
        String face = text(HttpRequest.newBuilder(URI.create(facePlusPlus + "/facepp/v1/3dface"))
            .header("Content-Type", "multipart/form-data; boundary=" + boundary)
            .POST(BodyPublishers.concat(BodyPublishers.ofByteArray(head), BodyPublishers.ofByteArray(picture),
                BodyPublishers.ofByteArray(end))));
        if (member(face, "obj_file").length() < 1000) throw new AssertionError(face);
        System.out.println("done " + result.body().length);
    }

    static HttpRequest.Builder post(String url, String json) {
        return HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Bearer k")
            .header("Content-Type", "application/json").POST(BodyPublishers.ofString(json));
    }

    static String text(HttpRequest.Builder request) throws Exception {
        HttpResponse<String> response = CLIENT.send(request.build(), BodyHandlers.ofString());
        if (response.statusCode() != 200) throw new AssertionError(response.statusCode() + " " + response.body());
        return response.body();
    }

    static String member(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":\\s*\"([^\"]*)\"").matcher(json);
        if (!found.find()) throw new AssertionError("no " + name + " in " + json);
        return found.group(1);
    }

    static void expect(Object expected, Object found) {
        if (!expected.equals(found)) throw new AssertionError(found + " is not " + expected);
    }
}
