namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>Several workers, and their end.</summary>
sealed class Workers : IAsyncDisposable
{
    readonly List<TestWorker> _ended = [];

    public List<TestWorker> All { get; } = [];

    public TestWorker this[int index] => All[index];

    public static async Task<Workers> StartAsync(int count, Func<WorkerOptions, WorkerOptions>? change = null, bool realModel = false)
    {
        var workers = new Workers();
        for (var i = 0; i < count; i++) workers.All.Add(await TestWorker.StartAsync(change, realModel));
        return workers;
    }

    /// <summary>The test has ended this one.</summary>
    public void Forget(int index) => _ended.Add(All[index]);

    public async ValueTask DisposeAsync()
    {
        foreach (var worker in All.Except(_ended)) await worker.DisposeAsync();
    }
}
