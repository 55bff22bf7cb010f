import java.util.Locale;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** An orderly member of a group that tells every message it gets, until it is asked to end: OrderlyMember NAMESERVER TOPIC GROUP MILLIS_PER_MESSAGE. */
public class OrderlyMember {
    public static void main(String[] args) throws Exception {
        // The client's threads would keep a failed program alive.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            System.exit(1);
        });
        int pause = Integer.parseInt(args[3]);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(args[2]);
        consumer.setNamesrvAddr(args[0]);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(args[1], "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            for (MessageExt message : messages) {
                try {
                    Thread.sleep(pause);
                } catch (InterruptedException error) {
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
                System.out.printf(Locale.ROOT, "{\"body\":\"%s\",\"queueId\":%d}%n", new String(message.getBody()), message.getQueueId());
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.setAwaitTerminationMillisWhenShutdown(5000);
        consumer.start();
        Runtime.getRuntime().addShutdownHook(new Thread(consumer::shutdown));
        System.out.println("{\"started\":true}");
        Thread.currentThread().join();
    }
}
