import java.util.Locale;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** A member of a group that tells every message it gets, until it is asked to end: GroupMember NAMESERVER TOPIC GROUP MILLIS_PER_MESSAGE FILTER. */
public class GroupMember {
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
        consumer.subscribe(args[1], args[4]);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                try {
                    Thread.sleep(pause);
                } catch (InterruptedException error) {
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
                System.out.printf(Locale.ROOT, "{\"body\":\"%s\",\"queueId\":%d,\"at\":%d}%n",
                    new String(message.getBody()), message.getQueueId(), System.currentTimeMillis());
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.setAwaitTerminationMillisWhenShutdown(5000);
        // When its share changes the client raises its subscription's version, but gives up the heartbeat that tells the broker when another one is
        // under way (lockHeartbeat.tryLock). Until the next one its pulls are refused as SUBSCRIPTION_NOT_LATEST: 30 s by default.
        consumer.setHeartbeatBrokerInterval(1000);
        consumer.start();
        Runtime.getRuntime().addShutdownHook(new Thread(consumer::shutdown));
        System.out.println("{\"started\":true}");
        Thread.currentThread().join();
    }
}
