using Google.Protobuf;
using LlamaCluster.Cluster.Activations;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Peers;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Orders;
using LlamaCluster.Worker.Sources;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>
/// Messages between the cluster's processes, as the one that receives them reads and checks them. The first byte of an input says which message it is.
/// </summary>
sealed class MessageTarget : ITarget
{
    const int VocabularySize = 300;
    const int MostRows = 64;
    const string Digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    static readonly ActivationShape Activations = new(ViewVersion: 1, FromStage: 0, HiddenSize: 64, Wire.ActivationType.Q8, MaxStepRows: 8, MaxSteps: 2);

    static readonly (MessageParser Parser, Action<IMessage> Read)[] Messages =
    [
        Of<Wire.RegisterRequest>(message => MemberMapping.Read(message)(new WorkerId("w1"))),
        Of<Wire.AssignRequest>(message => _ = message.ToOrder().Next.Count()),
        Of<Wire.Plan>(message => message.ToPlan()),
        Of<Wire.StepPlan>(message => message.ToWork(MostRows, VocabularySize, new HistoryParts(4, 4096), Grammars())),
        Of<Wire.BlockMoves>(message => message.ToWork()),
        Of<Wire.HistoryPart>(message => new HistoryParts(4, 4096).Add(message)),
        Of<Wire.VocabularyPart>(message => new SequenceGrammars(VocabularySize, 4).Add(message)),
        Of<Wire.SequenceGrammar>(message => Grammars().Add(message)),
        Of<Wire.ModelDescription>(message => message.ToModel(Digest)),
        Of<Wire.ActivationFrame>(Decode),
        Of<Wire.SequenceStart>(message => SequenceMessages.Read(message, [[1, 2, 3]])),
        Of<Wire.GenerateReply>(message => message.ToEvent(VocabularySize)),
        Of<Wire.WorkerStatus>(message => MemberMapping.ReadState(message.State)),
    ];

    public IReadOnlyList<byte[]> Seeds { get; } = [.. Messages.SelectMany((message, index) => SeedsOf(message.Parser, (byte)index))];

    public IReadOnlyList<string> Words { get; } =
    [
        "w1", "http://10.0.0.1:9091", Digest, "llama", "blk.0.attn_q.weight", "f32", "\x08", "\x10", "\x1a\x02", "\x22", "\x00", "[\"a\"]", "root ::= \"a\"",
    ];

    public void Run(byte[] input)
    {
        if (input.Length == 0) return;
        var (parser, read) = Messages[input[0] % Messages.Length];
        try
        {
            read(parser.ParseFrom(input, 1, input.Length - 1));
        }
        catch (InvalidProtocolBufferException)
        {
            return;   // the library's own refusal, which the server answers INVALID_ARGUMENT
        }
        catch (InvalidMessageException refused)
        {
            Refusals.Check(refused);
        }
    }

    public void Dispose() { }

    static (MessageParser, Action<IMessage>) Of<T>(Action<T> read) where T : IMessage<T>, new()
        => (new MessageParser<T>(() => new T()), message => read((T)message));

    static void Decode(Wire.ActivationFrame frame)
    {
        if (ActivationFrameRules.FirstProblem(frame, Activations) is { } problem) throw new InvalidMessageException(problem);
        ActivationCodec.Decode(frame.Type, frame.Payload.Span, Activations.HiddenSize, new float[frame.RowCount * Activations.HiddenSize]);
    }

    static SequenceGrammars Grammars()
    {
        var grammars = new SequenceGrammars(VocabularySize, 4);
        grammars.Add(new Wire.VocabularyPart
        {
            Lengths = { Enumerable.Repeat(1u, 256) },
            Texts = ByteString.CopyFrom([.. Enumerable.Range(0, 256).Select(value => (byte)value)]),
            EndIds = { 299 },
            Last = true,
        });
        return grammars;
    }

    /// <summary>An empty message, and some with values in all their fields.</summary>
    static IEnumerable<byte[]> SeedsOf(MessageParser parser, byte index)
    {
        yield return [index];
        for (var seed = 0; seed < 4; seed++)
        {
            var message = parser.ParseFrom([]);
            RandomMessage.Fill(message, new Random(seed), depth: 0);
            yield return [index, .. message.ToByteArray()];
        }
    }
}
