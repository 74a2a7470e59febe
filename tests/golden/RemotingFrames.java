// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.protocol.LanguageCode;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.SerializeType;
import org.apache.rocketmq.remoting.protocol.header.PullMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.PullMessageResponseHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeaderV2;
import org.apache.rocketmq.remoting.protocol.header.SendMessageResponseHeader;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumeType;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.HeartbeatData;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.remoting.protocol.heartbeat.ProducerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.SubscriptionData;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;

/**
 * Writes remoting_frames.json: frames as Apache RocketMQ's own classes encode them, in hexadecimal.
 *
 *   java -cp 'jars of Apache RocketMQ 5.4.0' RemotingFrames.java remoting_frames.json
 */
public class RemotingFrames {
    public static void main(String[] args) throws IOException {
        Map<String, RemotingCommand> frames = new LinkedHashMap<>();
        byte[] body = "hello".getBytes();
        frames.put("send", withBody(RemotingCommand.createRequestCommand(RequestCode.SEND_MESSAGE, send()), body));
        frames.put("sendV2", withBody(RemotingCommand.createRequestCommand(RequestCode.SEND_MESSAGE_V2,
            SendMessageRequestHeaderV2.createSendMessageRequestHeaderV2(send())), body));
        RemotingCommand oneway = withBody(RemotingCommand.createRequestCommand(RequestCode.SEND_MESSAGE_V2,
            SendMessageRequestHeaderV2.createSendMessageRequestHeaderV2(send())), body);
        oneway.markOnewayRPC();
        frames.put("sendOneway", oneway);
        frames.put("pull", RemotingCommand.createRequestCommand(RequestCode.PULL_MESSAGE, pull()));
        frames.put("heartbeat", withBody(RemotingCommand.createRequestCommand(RequestCode.HEART_BEAT, null),
            heartbeat().encode()));
        frames.put("sendResponse", sendResponse());
        frames.put("pullResponse", pullResponse());
        RemotingCommand error = RemotingCommand.createResponseCommand(17, "topic[Thema_\u00fc\u4e3b\u9898] not exist,\n\"apply\" first");
        error.setOpaque(-7);
        frames.put("errorResponse", error);
        RemotingCommand bare = RemotingCommand.createResponseCommand(0, null);
        bare.setOpaque(Integer.MAX_VALUE);
        frames.put("bareResponse", bare);

        StringBuilder out = new StringBuilder("{\n");
        for (SerializeType type : SerializeType.values()) {
            for (Map.Entry<String, RemotingCommand> entry : frames.entrySet()) {
                RemotingCommand command = entry.getValue();
                command.setSerializeTypeCurrentRPC(type);
                command.setLanguage(LanguageCode.JAVA);
                command.setVersion(493);
                if (command.getOpaque() >= 0 && command.getOpaque() < 1000) command.setOpaque(42);
                if (out.length() > 2) out.append(",\n");
                out.append("  \"").append(entry.getKey()).append(' ').append(type).append("\": \"")
                    .append(hex(command.encode())).append('"');
            }
        }
        Files.writeString(Path.of(args[0]), out.append("\n}\n"));
    }

    private static SendMessageRequestHeader send() {
        Message message = new Message("TopicTest", "TagA", "key1", "hello".getBytes());
        message.putUserProperty("u\u00fcser", "\u4f60\u597d \"quoted\" \\");
        MessageAccessor.putProperty(message, MessageConst.PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX, "7F00000100002A9F0000000000000001");
        SendMessageRequestHeader header = new SendMessageRequestHeader();
        header.setProducerGroup("group_p");
        header.setTopic("TopicTest");
        header.setDefaultTopic("TBW102");
        header.setDefaultTopicQueueNums(4);
        header.setQueueId(2);
        header.setSysFlag(0);
        header.setBornTimestamp(1700000000123L);
        header.setFlag(0);
        header.setProperties(MessageDecoder.messageProperties2String(message.getProperties()));
        header.setReconsumeTimes(0);
        header.setUnitMode(false);
        header.setBatch(false);
        header.setBrokerName("broker-a");
        return header;
    }

    private static PullMessageRequestHeader pull() {
        PullMessageRequestHeader header = new PullMessageRequestHeader();
        header.setConsumerGroup("group_c");
        header.setTopic("TopicTest");
        header.setQueueId(3);
        header.setQueueOffset(Long.MAX_VALUE);
        header.setMaxMsgNums(32);
        header.setSysFlag(2);
        header.setCommitOffset(0L);
        header.setSuspendTimeoutMillis(15000L);
        header.setSubscription("TagA || TagB");
        header.setSubVersion(1700000000999L);
        header.setMaxMsgBytes(Integer.MAX_VALUE);
        header.setExpressionType("TAG");
        header.setBrokerName("broker-a");
        return header;
    }

    private static HeartbeatData heartbeat() {
        HeartbeatData data = new HeartbeatData();
        data.setClientID("10.0.0.1@4711#123456789");
        ProducerData producer = new ProducerData();
        producer.setGroupName("group_p");
        data.getProducerDataSet().add(producer);
        ConsumerData consumer = new ConsumerData();
        consumer.setGroupName("group_c");
        consumer.setConsumeType(ConsumeType.CONSUME_PASSIVELY);
        consumer.setMessageModel(MessageModel.CLUSTERING);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        SubscriptionData subscription = new SubscriptionData("TopicTest", "*");
        subscription.setSubVersion(1700000000999L);
        consumer.getSubscriptionDataSet().add(subscription);
        data.getConsumerDataSet().add(consumer);
        return data;
    }

    private static RemotingCommand sendResponse() {
        RemotingCommand response = RemotingCommand.createResponseCommand(SendMessageResponseHeader.class);
        SendMessageResponseHeader header = (SendMessageResponseHeader) response.readCustomHeader();
        header.setMsgId("7F00000100002A9F00000000000003E8");
        header.setQueueId(2);
        header.setQueueOffset(1234567890123L);
        header.setTransactionId("");
        response.setCode(0);
        response.setOpaque(42);
        response.setRemark(null);
        response.addExtField(MessageConst.PROPERTY_MSG_REGION, "DefaultRegion");
        response.addExtField(MessageConst.PROPERTY_TRACE_SWITCH, "true");
        response.markResponseType();
        return response;
    }

    private static RemotingCommand pullResponse() {
        RemotingCommand response = RemotingCommand.createResponseCommand(PullMessageResponseHeader.class);
        PullMessageResponseHeader header = (PullMessageResponseHeader) response.readCustomHeader();
        header.setSuggestWhichBrokerId(0L);
        header.setNextBeginOffset(33L);
        header.setMinOffset(0L);
        header.setMaxOffset(Long.MAX_VALUE);
        response.setCode(0);
        response.setOpaque(42);
        response.setRemark("FOUND");
        response.setBody(new byte[] {0, 1, 2, (byte) 0xff});
        return response;
    }

    private static RemotingCommand withBody(RemotingCommand command, byte[] body) {
        command.setBody(body);
        return command;
    }

    private static String hex(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return HexFormat.of().formatHex(bytes);
    }
}
