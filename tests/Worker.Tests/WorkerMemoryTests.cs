namespace LlamaCluster.Worker.Tests;

public class WorkerMemoryTests
{
    static readonly WorkerOptions Options = new() { Coordinator = new Uri("http://127.0.0.1:1") };

    /// <summary>The runtime's figure is three quarters of a container's limit, where there is one.</summary>
    static long MostOfMachine => (GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 3 * 4) - 1;

    [Fact]
    public void Of_TheOperatorsNumber_IsThat() => Assert.Equal(77, WorkerMemory.Of(Options with { MemoryBytes = 77 }).Bytes);

    [Fact]
    public void Of_Nothing_IsLessThanTheMachineHas() =>
        Assert.InRange(WorkerMemory.Of(Options).Bytes, 1, MostOfMachine);

    [Fact]
    public void OfEach_SeveralOfOneMachine_IsTheirPartOfIt() =>
        Assert.InRange(4 * WorkerMemory.OfEach(4), 4, MostOfMachine);

    [Theory]
    [InlineData(8, 1, 1, 3, 13)]    // GiB: of two times 8 the draft model of 1 GiB gets 3
    [InlineData(8, 4, 1, 3, 9)]
    [InlineData(2, 1, 10, 2, 2)]    // it never gets more than the others
    public void A_draft_models_worker_gets_what_it_needs(int equal, int workers, int weights, int draft, int each)
    {
        var shares = WorkerMemory.WithDraft((long)equal << 30, workers, (long)weights << 30);
        Assert.Equal((draft, each), ((int)(shares.Draft >> 30), (int)(shares.Each >> 30)));
    }

    [Theory]
    [InlineData(2048, 1, 0.9)]
    [InlineData(16_384, 1, 0.9)]
    [InlineData(2048, 4, 0.17)]   // each of four has a process of its own
    [InlineData(512, 1, 0.68)]
    public void Within_a_container_a_worker_gets_what_processes_leave(int mebibytes, int workers, double least)
    {
        var limit = (long)mebibytes << 20;

        var each = WorkerMemory.Within(new ContainerMemory(limit, Used: 90 << 20), own: 90 << 20, workers);

        Assert.InRange(each, (long)(least * limit) - 1, (limit - workers * (160L << 20)) / workers);
    }

    [Fact]
    public void Within_a_container_others_keep_what_they_hold()
    {
        var alone = WorkerMemory.Within(new ContainerMemory(2L << 30, Used: 100), own: 100, workers: 1);

        Assert.Equal(alone - 5000, WorkerMemory.Within(new ContainerMemory(2L << 30, Used: 5100), own: 100, workers: 1));
        Assert.Equal(1, WorkerMemory.Within(new ContainerMemory(1 << 20, Used: 0), own: 0, workers: 1));
    }
}
