import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Set;
import org.apache.rocketmq.client.AccessChannel;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.client.trace.TraceTransferBean;

/** Reads trace data (base64) with Java's decoder and writes it again with its encoder: {"data":base64,"keys":[..]}. */
public class TraceData {
    public static void main(String[] args) {
        String data = new String(Base64.getDecoder().decode(args[0]), StandardCharsets.UTF_8);
        StringBuilder again = new StringBuilder();
        Set<String> keys = new java.util.TreeSet<>();
        for (TraceContext context : TraceDataEncoder.decoderFromTraceDataString(data)) {
            context.setAccessChannel(AccessChannel.LOCAL);
            TraceTransferBean encoded = TraceDataEncoder.encoderFromContextBean(context);
            again.append(encoded.getTransData());
            keys.addAll(encoded.getTransKey());
        }
        String bytes = Base64.getEncoder().encodeToString(again.toString().getBytes(StandardCharsets.UTF_8));
        System.out.println("{\"data\":\"" + bytes + "\",\"keys\":[\"" + String.join("\",\"", keys) + "\"]}");
    }
}
