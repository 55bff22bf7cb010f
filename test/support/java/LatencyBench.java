import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Milliseconds from before the send to the listener, in one process: LatencyBench NAMESERVER TOPIC COUNT PAUSE_MS GROUP. */
public class LatencyBench {
    public static void main(String[] args) throws Exception {
        // The client's threads would keep a failed program alive.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            System.exit(1);
        });
        int count = Integer.parseInt(args[2]);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(args[4]);
        consumer.setNamesrvAddr(args[0]);
        consumer.subscribe(args[1], "*");
        List<Double> latencies = Collections.synchronizedList(new ArrayList<>());
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            long now = System.nanoTime();
            for (MessageExt message : messages) {
                latencies.add((now - Long.parseLong(new String(message.getBody()))) / 1e6);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        Thread.sleep(5_000);
        latencies.clear();
        DefaultMQProducer producer = new DefaultMQProducer("latency-producer");
        producer.setNamesrvAddr(args[0]);
        producer.start();
        for (int i = 0; i < count; i++) {
            producer.send(new Message(args[1], String.valueOf(System.nanoTime()).getBytes()));
            Thread.sleep(Long.parseLong(args[3]));
        }
        Thread.sleep(1_000);
        List<Double> sorted = new ArrayList<>(latencies);
        Collections.sort(sorted);
        System.out.printf("{\"messages\":%d,\"p50\":%.2f,\"p99\":%.2f}%n", sorted.size(), sorted.get(sorted.size() / 2), sorted.get((int) (sorted.size() * 0.99)));
        System.exit(0);
    }
}
