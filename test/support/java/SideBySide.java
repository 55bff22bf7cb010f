import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Java's push consumer on the workload of side-by-side.test.ts: SideBySide NAMESERVER TOPIC GROUP FILTER MAX_RECONSUME DELIVERIES concurrent|orderly.
 * Message property "fails" says how often it fails. A line of JSON per delivery; ends some seconds after so many.
 */
public class SideBySide {
    public static void main(String[] args) throws Exception {
        // The client's threads would keep a failed program alive.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            System.exit(1);
        });
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(args[2]);
        consumer.setNamesrvAddr(args[0]);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(args[1], args[3]);
        consumer.setMaxReconsumeTimes(Integer.parseInt(args[4]));
        consumer.setConsumeMessageBatchMaxSize(1);
        // One thread: what one queue's messages are given in is then their order in the queue.
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(1);
        CountDownLatch deliveries = new CountDownLatch(Integer.parseInt(args[5]));
        if (args[6].equals("orderly")) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                boolean fails = deliver(messages.get(0), deliveries);
                context.setSuspendCurrentQueueTimeMillis(50);
                return fails ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT : ConsumeOrderlyStatus.SUCCESS;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                boolean fails = deliver(messages.get(0), deliveries);
                return fails ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        }
        consumer.setPersistConsumerOffsetInterval(1_000);
        long started = System.currentTimeMillis();
        consumer.start();
        if (!deliveries.await(120, TimeUnit.SECONDS)) {
            throw new IllegalStateException(deliveries.getCount() + " deliveries are missing");
        }
        // More than expected would come now. The offsets that are sent at the shutdown, one way, may be lost with the connection; those of the
        // interval before, which begins 10 s after the start, are not.
        Thread.sleep(Math.max(3_000, started + 13_000 - System.currentTimeMillis()));
        consumer.shutdown();
        System.exit(0);
    }

    private static boolean deliver(MessageExt message, CountDownLatch deliveries) {
        System.out.println("{\"seq\":" + message.getUserProperty("seq") + ",\"topic\":\"" + message.getTopic()
            + "\",\"queueId\":" + message.getQueueId() + ",\"reconsumeTimes\":" + message.getReconsumeTimes()
            + ",\"msgId\":\"" + message.getMsgId() + "\",\"tags\":\"" + message.getTags() + "\"}");
        deliveries.countDown();
        return message.getReconsumeTimes() < Integer.parseInt(message.getUserProperty("fails"));
    }
}
