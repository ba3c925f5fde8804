namespace LlamaCluster.Worker.Tests;

public class WorkerMemoryTests
{
    static readonly WorkerOptions Options = new() { Coordinator = new Uri("http://127.0.0.1:1") };

    [Fact]
    public void Of_TheOperatorsNumber_IsThat() => Assert.Equal(77, WorkerMemory.Of(Options with { MemoryBytes = 77 }).Bytes);

    [Fact]
    public void Of_Nothing_IsLessThanTheMachineHas() =>
        Assert.InRange(WorkerMemory.Of(Options).Bytes, 1, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes - 1);

    [Fact]
    public void OfEach_SeveralOfOneMachine_IsTheirPartOfIt() =>
        Assert.InRange(4 * WorkerMemory.OfEach(4), 4, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes - 1);
}
