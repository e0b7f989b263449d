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
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Reconstructs a head from a photo with Face++: {@code java FacePlusPlus.java PICTURE [FOLDER]}.
 *
 * <p>Writes {@code face.obj}, {@code face.mtl} and {@code tex.jpg}. Needs Java 11, and no libraries.
 */
public class FacePlusPlus {
    private static final String BASE_URL =
        System.getenv().getOrDefault("FACEPLUSPLUS_URL", "https://api-us.faceplusplus.com");

    /** Errors after which Face++ accepts the same request later. */
    private static final Set<String> RETRIED = Set.of("CONCURRENCY_LIMIT_EXCEEDED", "INTERNAL_ERROR");

    private static final int[] RETRY_WAITS_MS = {1000, 2000, 4000, 8000};

    /** Members of the response by file name. The OBJ refers to the MTL by this name, and the MTL to the JPEG. */
    private static final String[][] FILES =
        {{"face.obj", "obj_file"}, {"face.mtl", "mtl_file"}, {"tex.jpg", "texture_img"}};

    private static final HttpClient CLIENT =
        HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    public static void main(String[] arguments) throws InterruptedException {
        String key = System.getenv("FACEPLUSPLUS_API_KEY"), secret = System.getenv("FACEPLUSPLUS_API_SECRET");
        if (arguments.length < 1 || arguments.length > 2 || key == null || secret == null) {
            System.err.println("usage: java FacePlusPlus.java PICTURE [FOLDER]\n"
                + "Set the environment variables FACEPLUSPLUS_API_KEY and FACEPLUSPLUS_API_SECRET.");
            System.exit(2);
        }
        try {
            Map<?, ?> answer = reconstruct(Files.readAllBytes(Path.of(arguments[0])), key, secret);
            Path folder = Files.createDirectories(Path.of(arguments.length > 1 ? arguments[1] : "."));
            for (String[] file : FILES) {
                byte[] content = Base64.getDecoder().decode(Json.text(answer, file[1]));
                System.out.println(Files.write(folder.resolve(file[0]), content));
            }
        } catch (IOException | IllegalArgumentException error) {
            // Messages of other exceptions, such as NoSuchFileException, do not say what went wrong.
            System.err.println("error: " + (error.getClass() == IOException.class ? error.getMessage() : error));
            System.exit(1);
        }
    }

    /** Returns the response to a request with one picture. */
    private static Map<?, ?> reconstruct(byte[] picture, String key, String secret)
            throws IOException, InterruptedException {
        String boundary = UUID.randomUUID().toString();
        ByteArrayOutputStream form = new ByteArrayOutputStream();
        Map<String, String> fields = Map.of("api_key", key, "api_secret", secret, "texture", "1", "mtl", "1");
        for (Map.Entry<String, String> field : fields.entrySet()) {
            form.write(bytes("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + field.getKey()
                + "\"\r\n\r\n" + field.getValue() + "\r\n"));
        }
        form.write(bytes("--" + boundary + "\r\nContent-Disposition: form-data; name=\"image_file_1\"; "
            + "filename=\"photo.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"));
        form.write(picture);
        form.write(bytes("\r\n--" + boundary + "--\r\n"));
        HttpRequest request = HttpRequest.newBuilder(URI.create(BASE_URL + "/facepp/v1/3dface"))
            .header("Content-Type", "multipart/form-data; boundary=" + boundary)
            .timeout(Duration.ofSeconds(60))
            .POST(BodyPublishers.ofByteArray(form.toByteArray()))
            .build();

        for (int attempt = 0; ; attempt++) {
            HttpResponse<String> response = CLIENT.send(request, BodyHandlers.ofString());
            if (response.statusCode() == 200) return Json.object(response.body());
            String message = messageOf(response.body()), status = "HTTP " + response.statusCode();
            if (message == null) throw new IOException(status);
            if (!RETRIED.contains(message) || attempt == RETRY_WAITS_MS.length) {
                throw new IOException(message + " (" + status + ")");
            }
            Thread.sleep(RETRY_WAITS_MS[attempt]);
        }
    }

    /** Returns the error message. Some errors, such as 413, are not JSON and have none. */
    private static String messageOf(String body) {
        try {
            return Json.text(Json.object(body), "error_message");
        } catch (IOException error) {
            return null;
        }
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
