import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Receives Perfect Corp's webhooks: {@code java PerfectCorpWebhooks.java [PORT] [FOLDER]}.
 *
 * <p>Writes the result of each task that succeeds to {@code <task id>.jpg}. Needs Java 11, and no libraries.
 */
public class PerfectCorpWebhooks {
    private static final String BASE_URL =
        System.getenv().getOrDefault("PERFECTCORP_URL", "https://yce-api-01.makeupar.com");
    private static final String KEY = System.getenv("PERFECTCORP_KEY");

    /** Secret of the endpoint, such as {@code whsec_NDQz...}. */
    private static final String SECRET = System.getenv("PERFECTCORP_WEBHOOK_SECRET");

    /** Perfect Corp waits for our response, so these are few. */
    private static final Duration TIMEOUT = Duration.ofSeconds(10);

    /** Largest age of a message. An older one could be a copy that somebody recorded. */
    private static final Duration TOLERANCE = Duration.ofSeconds(300);

    private static final int MOST_BYTES = 65536;

    private static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(TIMEOUT).build();

    private final Path folder;

    private PerfectCorpWebhooks(Path folder) {
        this.folder = folder;
    }

    public static void main(String[] arguments) throws IOException {
        if (arguments.length > 2 || KEY == null || SECRET == null) {
            System.err.println("usage: java PerfectCorpWebhooks.java [PORT] [FOLDER]\n"
                + "Set the environment variables PERFECTCORP_KEY and PERFECTCORP_WEBHOOK_SECRET.");
            System.exit(2);
        }
        int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 9000;
        Path folder = Files.createDirectories(Path.of(arguments.length > 1 ? arguments[1] : "."));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", new PerfectCorpWebhooks(folder)::receive);
        server.start();
        System.out.println("listening on http://127.0.0.1:" + server.getAddress().getPort());
    }

    /** Receives one message. Any status but 2xx makes Perfect Corp send it again later. */
    private void receive(HttpExchange exchange) throws IOException {
        int status;
        try {
            byte[] body = exchange.getRequestBody().readNBytes(MOST_BYTES);
            if (isSigned(exchange, body)) {
                    Map<?, ?> message = Json.object(new String(body, StandardCharsets.UTF_8));
                String taskId = Json.text(message, "data", "task_id");
                System.out.println(taskId + ": " + saveResult(taskId));
                status = 204;
            } else {
                System.err.println("refused: the signature or the timestamp is wrong");
                status = 401;
            }
        } catch (Exception error) {
            System.err.println("error: " + error);
            status = 500;
        }
        exchange.sendResponseHeaders(status, -1);
        exchange.close();
    }

    /** Returns whether the signature and the timestamp of a message are right by Standard Webhooks. */
    private static boolean isSigned(HttpExchange exchange, byte[] body) throws GeneralSecurityException {
        String id = header(exchange, "webhook-id"), timestamp = header(exchange, "webhook-timestamp");
        if (!timestamp.matches("\\d{1,18}")) return false;
        Duration age = Duration.between(Instant.ofEpochSecond(Long.parseLong(timestamp)), Instant.now()).abs();
        if (age.compareTo(TOLERANCE) > 0) return false;
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(SECRET.replaceFirst("^whsec_", "")), "HmacSHA256"));
        mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        String digest = Base64.getEncoder().encodeToString(mac.doFinal(body));
        byte[] expected = ("v1," + digest).getBytes(StandardCharsets.UTF_8);
        // While a secret is replaced, a message has several signatures.
        for (String signature : header(exchange, "webhook-signature").split(" ")) {
            if (MessageDigest.isEqual(expected, signature.getBytes(StandardCharsets.UTF_8))) return true;
        }
        return false;
    }

    private static String header(HttpExchange exchange, String name) {
        String value = exchange.getRequestHeaders().getFirst(name);
        return value == null ? "" : value;
    }

    /** Downloads the result of a finished task, and returns what happened. */
    private String saveResult(String taskId) throws IOException, InterruptedException {
        Path path = folder.resolve(taskId + ".jpg");
        if (Files.exists(path)) return "already saved"; // Perfect Corp has sent the message twice
        URI uri = URI.create(BASE_URL + "/s2s/v2.0/task/face-reshape/" + taskId);
        byte[] answer = get(HttpRequest.newBuilder(uri).header("Authorization", "Bearer " + KEY));
        Map<?, ?> task = (Map<?, ?>) Json.object(new String(answer, StandardCharsets.UTF_8)).get("data");
        String state = Json.text(task, "task_status");
        if (state.equals("error")) return "failed: " + Json.text(task, "error");
        if (!state.equals("success")) throw new IOException("the task " + taskId + " is not finished");
        Files.write(path, get(HttpRequest.newBuilder(URI.create(Json.text(task, "results", "url")))));
        return "saved as " + path;
    }

    private static byte[] get(HttpRequest.Builder request) throws IOException, InterruptedException {
        HttpResponse<byte[]> response = CLIENT.send(request.timeout(TIMEOUT).build(), BodyHandlers.ofByteArray());
        if (response.statusCode() != 200) throw new IOException("HTTP " + response.statusCode());
        return response.body();
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
