
using LlamaCluster.Worker.Activations;

namespace LlamaCluster.Worker.Tests.Activations;

public class SendBufferTests
{
    [Fact]
    public void Begin_StepsThatFit_AllocateNothing()
    {
        var buffer = new SendBuffer();
        buffer.Begin(1, 100, 64);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong step = 2; step < 100; step++) buffer.Begin(step, (int)step, 64);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void RowsFrom_APartOfAStep_IsThatPart()
    {
        var buffer = new SendBuffer();
        var bytes = buffer.Begin(9, 4, 3);
        for (var i = 0; i < bytes.Length; i++) bytes[i] = (byte)i;
        Assert.Equal([3, 4, 5, 6, 7, 8], buffer.RowsFrom(1, 2, 3).ToArray());
        Assert.Equal((9UL, 4), (buffer.StepId, buffer.Rows));
    }
}
