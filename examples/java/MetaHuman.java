import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;

/**
 * Describes a head in a photo with MetaHuman SDK: {@code java MetaHuman.java PICTURE [FOLDER]}.
 *
 * <p>Writes {@code metahuman.json}, with 80 shape coefficients and the attributes, and {@code texture.png}.
 * Needs Java 11, and no libraries.
 */
public class MetaHuman {
    private static final URI BASE_URL =
        URI.create(System.getenv().getOrDefault("METAHUMAN_URL", "https://api.metahumansdk.io"));

    private static final HttpClient CLIENT =
        HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    public static void main(String[] arguments) throws InterruptedException {
        String token = System.getenv("METAHUMAN_TOKEN");
        if (arguments.length < 1 || arguments.length > 2 || token == null) {
            System.err.println("usage: java MetaHuman.java PICTURE [FOLDER]\n"
                + "Set the environment variable METAHUMAN_TOKEN.");
            System.exit(2);
        }
        try {
            byte[] answer = runPipeline(Files.readAllBytes(Path.of(arguments[0])), token);
            // The response has only the path of the texture.
            String path = Json.text(Json.object(text(answer)), "result", "face", "textureUrl");
            byte[] texture = send(HttpRequest.newBuilder(BASE_URL.resolve(path)));

            Path folder = Files.createDirectories(Path.of(arguments.length > 1 ? arguments[1] : "."));
            System.out.println(Files.write(folder.resolve("metahuman.json"), answer));
            System.out.println(Files.write(folder.resolve("texture.png"), texture));
        } catch (IOException | IllegalArgumentException error) {
            // Messages of other exceptions, such as NoSuchFileException, do not say what went wrong.
            System.err.println("error: " + (error.getClass() == IOException.class ? error.getMessage() : error));
            System.exit(1);
        }
    }

    /** Returns the response to a picture. */
    private static byte[] runPipeline(byte[] picture, String token) throws IOException, InterruptedException {
        String boundary = UUID.randomUUID().toString();
        ByteArrayOutputStream form = new ByteArrayOutputStream();
        form.write(bytes("--" + boundary + "\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + token
            + "\r\n--" + boundary + "\r\nContent-Disposition: form-data; name=\"image_bytes\"; filename=\"photo\"\r\n"
            + "Content-Type: application/octet-stream\r\n\r\n"));
        form.write(picture);
        form.write(bytes("\r\n--" + boundary + "--\r\n"));
        return send(HttpRequest.newBuilder(BASE_URL.resolve("/face_recon/run_pipeline"))
            .header("Content-Type", "multipart/form-data; boundary=" + boundary)
            .POST(BodyPublishers.ofByteArray(form.toByteArray())));
    }

    /** Returns the body of a response, if its status reports success. */
    private static byte[] send(HttpRequest.Builder request) throws IOException, InterruptedException {
        HttpResponse<byte[]> response =
            CLIENT.send(request.timeout(Duration.ofSeconds(60)).build(), BodyHandlers.ofByteArray());
        if (response.statusCode() == 200) return response.body();
        throw new IOException(reasonOf(text(response.body()), "HTTP " + response.statusCode()));
    }

    private static String reasonOf(String body, String status) {
        try {
            Map<?, ?> answer = Json.object(body);
            String code = Json.text(answer, "error", "code");
            return Json.text(answer, "error", "message") + " (code " + code + ", " + status + ")";
        } catch (IOException error) {
            return status; // an error of a proxy, or of the form itself
        }
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
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
