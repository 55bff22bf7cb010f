import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends messages at a rate with RocketMQ's own producer, each until a broker has it: ProduceSteadily NAMESERVER TOPIC COUNT PER_SECOND KEYS BODY_BYTES.
 * Message i has key "key-(i mod KEYS)", user property seq=i and stands in queue (i mod KEYS) mod queues. After an outage it goes on at its rate.
 * Prints "SEQ QUEUE_ID QUEUE_OFFSET EPOCH_MS" when a message is stored. A send whose answer got lost is repeated: the topic has the message twice then.
 */
public class ProduceSteadily {
    /** What it is late by is made up for, but not more. */
    private static final int MAX_LATE_MS = 1_000;

    public static void main(String[] args) throws Exception {
        // The client's threads would keep a failed program alive.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            System.exit(1);
        });
        String topic = args[1];
        int count = Integer.parseInt(args[2]);
        double perSecond = Double.parseDouble(args[3]);
        int keys = Integer.parseInt(args[4]);
        String filling = String.join("", Collections.nCopies(Integer.parseInt(args[5]), "x"));
        DefaultMQProducer producer = new DefaultMQProducer("steady-producer");
        producer.setNamesrvAddr(args[0]);
        producer.start();
        List<MessageQueue> queues = queuesOf(producer, topic);
        double dueAt = System.currentTimeMillis();
        for (int i = 0; i < count; i++) {
            long waitMs = (long) dueAt - System.currentTimeMillis();
            if (waitMs > 0) {
                Thread.sleep(waitMs);
            }
            dueAt = Math.max(dueAt + 1000 / perSecond, System.currentTimeMillis() - MAX_LATE_MS);
            byte[] body = (i + " " + filling).getBytes(StandardCharsets.US_ASCII);
            Message message = new Message(topic, "", "key-" + i % keys, body);
            message.putUserProperty("seq", String.valueOf(i));
            SendResult sent = store(producer, message, queues.get(i % keys % queues.size()));
            System.out.println(i + " " + sent.getMessageQueue().getQueueId() + " " + sent.getQueueOffset() + " " + System.currentTimeMillis());
        }
        producer.shutdown();
        System.exit(0);
    }

    private static List<MessageQueue> queuesOf(DefaultMQProducer producer, String topic) throws Exception {
        for (int attempt = 0; ; attempt++) {
            try {
                List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
                Collections.sort(queues);
                return queues;
            } catch (Exception notYet) {
                if (attempt == 50) {
                    throw notYet;
                }
                Thread.sleep(200);
            }
        }
    }

    private static SendResult store(DefaultMQProducer producer, Message message, MessageQueue queue) throws Exception {
        while (true) {
            try {
                SendResult sent = producer.send(message, queue, 3_000);
                if (sent.getSendStatus() == SendStatus.SEND_OK) {
                    return sent;
                }
            } catch (Exception away) {
                Thread.sleep(200);
            }
        }
    }
}
