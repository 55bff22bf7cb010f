import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends messages with RocketMQ's own producer: Produce NAMESERVER TOPIC COUNT BODY_BYTES BATCH.
 * Message i has key "key-i", tag "tag-(i mod 4)", user property seq=i and a body of the given size that begins with i.
 */
public class Produce {
    public static void main(String[] args) throws Exception {
        // The client's threads would keep a failed program alive.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            System.exit(1);
        });
        String topic = args[1];
        int count = Integer.parseInt(args[2]);
        int size = Integer.parseInt(args[3]);
        int batch = Integer.parseInt(args[4]);
        DefaultMQProducer producer = new DefaultMQProducer("test-producer");
        producer.setNamesrvAddr(args[0]);
        producer.setSendMsgTimeout(10_000);
        producer.setRetryTimesWhenSendFailed(5);
        producer.start();
        List<MessageQueue> queues = null;
        for (int attempt = 0; queues == null && attempt < 50; attempt++) {
            try {
                queues = producer.fetchPublishMessageQueues(topic);
            } catch (Exception notYet) {
                Thread.sleep(200);
            }
        }
        for (int i = 0, turn = 0; i < count; turn++) {
            List<Message> messages = new ArrayList<>();
            for (int end = Math.min(count, i + batch); i < end; i++) {
                Message message = new Message(topic, "tag-" + i % 4, "key-" + i, body(i, size));
                message.putUserProperty("seq", String.valueOf(i));
                messages.add(message);
            }
            producer.send(messages, queues.get(turn % queues.size()), 10_000);
        }
        producer.shutdown();
        System.out.println("{\"sent\":" + count + "}");
    }

    private static byte[] body(int i, int size) {
        StringBuilder text = new StringBuilder(size).append(i).append(' ');
        while (text.length() < size) {
            text.append((char) ('a' + text.length() % 26));
        }
        return text.toString().getBytes(StandardCharsets.US_ASCII);
    }
}
