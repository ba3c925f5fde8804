using System.IO.Pipes;
using LlamaCluster.Worker.Hosting;
using LlamaCluster.Worker.Tests.Fakes;

namespace LlamaCluster.Worker.Tests.Hosting;

public class InputWatchTests
{
    [Fact]
    public async Task Start_TheOtherEndGoes_IsNoticed()
    {
        using var parent = new AnonymousPipeServerStream(PipeDirection.Out);
        using var input = new AnonymousPipeClientStream(PipeDirection.In, parent.ClientSafePipeHandle);
        var closed = new TaskCompletionSource();
        InputWatch.Start(input, closed.SetResult);
        parent.Write("not the end yet"u8);
        Assert.False(closed.Task.IsCompleted);
        parent.Dispose();
        await Deadline.Within(closed.Task, "the end of input");
    }
}
