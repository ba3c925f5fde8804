using Google.Protobuf;
using LlamaCluster.Worker.Activations;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Activations;

public class ActivationFrameRulesTests
{
    [Fact]
    public void FirstProblem_OfARightFrame_IsNone() => Assert.Null(ActivationFrameRules.FirstProblem(Frames.Frame(1, 8, 3, 5), Frames.Shape));

    public static TheoryData<string, Action<Wire.ActivationFrame>> Wrong => new()
    {
        { "view 4", frame => frame.ViewVersion = 4 },
        { "from_stage", frame => frame.FromStage = uint.MaxValue },
        { "hidden_size", frame => frame.HiddenSize = uint.MaxValue },
        { "hidden_size", frame => frame.HiddenSize = 0 },
        { "type", frame => frame.Type = Wire.ActivationType.Bf16 },
        { "type", frame => frame.Type = (Wire.ActivationType)77 },
        { "total_rows", frame => frame.TotalRows = 0 },
        { "total_rows", frame => frame.TotalRows = 9 },
        { "total_rows", frame => frame.TotalRows = uint.MaxValue },
        { "rows", frame => frame.RowCount = 0 },
        { "rows", frame => frame.RowCount = uint.MaxValue },
        { "rows", frame => (frame.FirstRow, frame.RowCount) = (uint.MaxValue, uint.MaxValue) },
        { "rows", frame => frame.FirstRow = 4 },
        { "payload", frame => frame.Payload = ByteString.Empty },
        { "payload", frame => frame.Payload = ByteString.CopyFrom(new byte[39]) },
        { "payload", frame => frame.Payload = ByteString.CopyFrom(new byte[48]) },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void FirstProblem_OneFieldWrong_NamesIt(string named, Action<Wire.ActivationFrame> change)
    {
        var frame = Frames.Frame(1, 8, 3, 5);
        change(frame);
        Assert.Contains(named, ActivationFrameRules.FirstProblem(frame, Frames.Shape));
    }
}
