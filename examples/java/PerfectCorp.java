import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reshapes the face in a photo with Perfect Corp: {@code java PerfectCorp.java PICTURE [FOLDER]}.
 *
 * <p>Writes {@code reshaped.jpg}, or {@code reshaped.png}. Needs Java 11, and no libraries.
 */
public class PerfectCorp {
    private static final String BASE_URL =
        System.getenv().getOrDefault("PERFECTCORP_URL", "https://yce-api-01.makeupar.com");
    private static final String TASKS = "/s2s/v2.0/task/face-reshape";

    /** What to change, from -100 to 100. Features that are not listed stay as they are. */
    private static final String FEATURES = "{\"eye_size\": 60, \"face_width\": -50, \"lip_size\": 40}";

    private static final int[] RETRY_WAITS_MS = {1000, 2000, 4000, 8000};
    private static final int POLL_MS = 1000;
    private static final int DEADLINE_SECONDS = 120;

    private static final HttpClient CLIENT =
        HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    private final String key;

    private PerfectCorp(String key) {
        this.key = key;
    }

    public static void main(String[] arguments) throws InterruptedException {
        String key = System.getenv("PERFECTCORP_KEY");
        if (arguments.length < 1 || arguments.length > 2 || key == null) {
            System.err.println("usage: java PerfectCorp.java PICTURE [FOLDER]\n"
                + "Set the environment variable PERFECTCORP_KEY.");
            System.exit(2);
        }
        try {
            PerfectCorp client = new PerfectCorp(key);
            URI url = URI.create(client.await(client.reshape(client.upload(Path.of(arguments[0])))));
            byte[] result = send(HttpRequest.newBuilder(url));
            Path folder = Files.createDirectories(Path.of(arguments.length > 1 ? arguments[1] : "."));
            String suffix = url.getPath().substring(url.getPath().lastIndexOf('.'));
            System.out.println(Files.write(folder.resolve("reshaped" + suffix), result));
        } catch (IOException | IllegalArgumentException error) {
            // Messages of other exceptions, such as NoSuchFileException, do not say what went wrong.
            System.err.println("error: " + (error.getClass() == IOException.class ? error.getMessage() : error));
            System.exit(1);
        }
    }

    /** Registers a picture, uploads it, and returns its file id. */
    private String upload(Path path) throws IOException, InterruptedException {
        byte[] picture = Files.readAllBytes(path);
        String name = path.getFileName().toString();
        String type = name.toLowerCase().endsWith(".png") ? "image/png" : "image/jpg";
        Map<?, ?> answer = call("/s2s/v2.0/file", BodyPublishers.ofString(String.format(
            "{\"files\": [{\"content_type\": \"%s\", \"file_name\": \"%s\", \"file_size\": %d}]}",
            type, name.replace("\\", "\\\\").replace("\"", "\\\""), picture.length)));

        // The URL is signed. With an Authorization header, the store would refuse the request.
        Map<?, ?> file = (Map<?, ?>) Json.member(answer, "data", "files", "0");
        Map<?, ?> upload = (Map<?, ?>) Json.member(file, "requests", "0");
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(Json.text(upload, "url")))
            .method(Json.text(upload, "method"), BodyPublishers.ofByteArray(picture));
        for (Map.Entry<?, ?> header : ((Map<?, ?>) upload.get("headers")).entrySet()) {
            String field = (String) header.getKey();
            // HttpClient sends the length itself, and accepts no header for it.
            if (!field.equalsIgnoreCase("Content-Length")) request.header(field, (String) header.getValue());
        }
        send(request);
        return Json.text(file, "file_id");
    }

    /** Starts a task, and returns its id. */
    private String reshape(String fileId) throws IOException, InterruptedException {
        String body = String.format(
            "{\"version\": \"1.0\", \"src_file_id\": \"%s\", \"features\": %s, \"global\": {}}", fileId, FEATURES);
        return Json.text(call(TASKS, BodyPublishers.ofString(body)), "data", "task_id");
    }

    /** Polls a task until it is finished, and returns the URL of its result. */
    private String await(String taskId) throws IOException, InterruptedException {
        long start = System.nanoTime();
        while (System.nanoTime() - start < DEADLINE_SECONDS * 1_000_000_000L) {
            Map<?, ?> answer = call(TASKS + "/" + taskId, null);
            switch (Json.text(answer, "data", "task_status")) {
                case "success":
                    return Json.text(answer, "data", "results", "url");
                case "error":
                    Object message = Json.member(answer, "data", "error_message");
                    String error = Json.text(answer, "data", "error");
                    throw new IOException(message == null ? error : error + ": " + message);
                default:
                    Thread.sleep(POLL_MS);
            }
        }
        throw new IOException("the task " + taskId + " still runs after " + DEADLINE_SECONDS + " seconds");
    }

    /** Calls the API, and returns the response. Without a body, the method is GET. */
    private Map<?, ?> call(String path, BodyPublisher body) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(BASE_URL + path))
            .header("Authorization", "Bearer " + key);
        if (body != null) request.header("Content-Type", "application/json").POST(body);
        return Json.object(new String(send(request), StandardCharsets.UTF_8));
    }

    /** Returns the body of a response, if its status reports success. */
    private static byte[] send(HttpRequest.Builder request) throws IOException, InterruptedException {
        request.timeout(Duration.ofSeconds(60));
        for (int attempt = 0; ; attempt++) {
            HttpResponse<byte[]> response = CLIENT.send(request.build(), BodyHandlers.ofByteArray());
            if (response.statusCode() == 200) return response.body();
            // 429: the rate limit is exceeded.
            if (response.statusCode() != 429 || attempt == RETRY_WAITS_MS.length) {
                String reason = reasonOf(new String(response.body(), StandardCharsets.UTF_8));
                String status = "HTTP " + response.statusCode();
                throw new IOException(reason == null ? status : reason + " (" + status + ")");
            }
            Thread.sleep(RETRY_WAITS_MS[attempt]);
        }
    }

    /** Returns the message of an error, or null. The API's errors are JSON, and the store's are XML. */
    private static String reasonOf(String body) {
        try {
            return Json.text(Json.object(body), "error");
        } catch (IOException error) {
            Matcher found = Pattern.compile("<Message>(.*?)</Message>").matcher(body);
            return found.find() ? found.group(1) : null;
        }
    }

    /** Reads JSON, so that this file runs alone. A program with libraries would use Jackson. */
    private static final class Json {
        private static final String ESCAPES = "bfnrt", ESCAPED = "\b\f\n\r\t";

        private final String text;
        private int at;

        private Json(String text) {
            this.text = text;
        }

        /** Returns an object as a map. In it, an array is a map by index, and a number is a text. */
        static Map<?, ?> object(String text) throws IOException {
            try {
                return (Map<?, ?>) new Json(text).value();
            } catch (IndexOutOfBoundsException | ClassCastException | NumberFormatException error) {
                throw new IOException("the response is no JSON object", error);
            }
        }

        /** Returns what is in an object under these names, from the outermost to the innermost, or null. */
        static Object member(Map<?, ?> object, String... names) {
            Object found = object;
            for (String name : names) found = found instanceof Map ? ((Map<?, ?>) found).get(name) : null;
            return found;
        }

        /** Returns a text in an object. */
        static String text(Map<?, ?> object, String... names) throws IOException {
            Object found = member(object, names);
            if (found instanceof String) return (String) found;
            throw new IOException("the response has no " + String.join(".", names));
        }

        private Object value() {
            char first = peek();
            if (first == '"') return string();
            if (first == '{' || first == '[') return members(first == '{');
            int start = at;
            while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) at++;
            String word = text.substring(start, at);
            return word.equals("null") ? null : word;
        }

        private Map<String, Object> members(boolean hasNames) {
            Map<String, Object> members = new LinkedHashMap<>();
            for (at++; peek() != ']' && peek() != '}'; at += peek() == ',' ? 1 : 0) {
                String name = hasNames ? string() : String.valueOf(members.size());
                if (hasNames && peek() == ':') at++;
                members.put(name, value());
            }
            at++;
            return members;
        }

        private String string() {
            StringBuilder read = new StringBuilder();
            for (at++; text.charAt(at) != '"'; at++) {
                char next = text.charAt(at);
                if (next == '\\') {
                    next = text.charAt(++at);
                    int escape = ESCAPES.indexOf(next);
                    if (escape >= 0) next = ESCAPED.charAt(escape);
                    if (next == 'u') {
                        next = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                        at += 4;
                    }
                }
                read.append(next);
            }
            at++;
            return read.toString();
        }

        private char peek() {
            while (Character.isWhitespace(text.charAt(at))) at++;
            return text.charAt(at);
        }
    }
}
