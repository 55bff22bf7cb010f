import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Sends one batch: ProduceBatch NAMESERVER TOPIC COUNT. Bodies are numbers from 0. */
public class ProduceBatch {
    public static void main(String[] args) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("batches");
        producer.setNamesrvAddr(args[0]);
        producer.setSendMsgTimeout(10_000);
        producer.start();
        List<Message> messages = new ArrayList<>();
        for (int n = 0; n < Integer.parseInt(args[2]); n++) {
            messages.add(new Message(args[1], String.valueOf(n).getBytes(StandardCharsets.UTF_8)));
        }
        System.out.println(producer.send(messages).getSendStatus());
        producer.shutdown();
        System.exit(0);
    }
}
