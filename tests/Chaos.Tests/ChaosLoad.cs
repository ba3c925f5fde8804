using System.Text;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// Clients of a cluster that is being hurt. Every answer must be the undisturbed one to the last bit of its log-probabilities, none may fail or hang, and
/// afterwards no block may be held.
/// </summary>
sealed class ChaosLoad
{
    readonly Dictionary<int, string> _undisturbed = [];
    readonly ChaosCluster _cluster;
    readonly KvLevels _levels;
    readonly ChaosClient _client;
    readonly Random _random;
    int _answers;
    long _view;

    ChaosLoad(ChaosCluster cluster, KvLevels levels, Random random) =>
        (_cluster, _levels, _random, _client) = (cluster, levels, random, new ChaosClient(cluster.Http));

    int Clients { get; init; }

    /// <summary>That were right.</summary>
    public int Answers => _answers;

    /// <summary>The longest time between two events of a stream.</summary>
    public TimeSpan LongestGap => _client.LongestGap;

    /// <summary>Asks for everything once, while nothing happens.</summary>
    /// <param name="requests">So many different ones.</param>
    public static async Task<ChaosLoad> LearnAsync(ChaosCluster cluster, KvLevels levels, Random random, int requests = 16, int clients = 6)
    {
        var load = new ChaosLoad(cluster, levels, random) { Clients = clients };
        foreach (var number in Enumerable.Range(0, requests)) load._undisturbed[number] = await load._client.AnswerAsync(new ChaosRequest(number));
        return load;
    }

    /// <summary>Load and harm at the same time.</summary>
    /// <param name="harm">Ends soon after it is cancelled.</param>
    /// <param name="length">Null: until the harm has ended by itself.</param>
    public async Task RunAsync(Func<CancellationToken, Task> harm, TimeSpan? length)
    {
        using var over = length is { } limit ? new CancellationTokenSource(limit) : new CancellationTokenSource();
        var seeds = Enumerable.Range(0, Clients).Select(_ => _random.Next()).ToList();
        var clients = seeds.Select(seed => SendAsync(new Random(seed), over.Token)).ToList();
        try
        {
            await harm(over.Token);
        }
        finally
        {
            await over.CancelAsync();
        }
        foreach (var ended in clients) await ended;
    }

    /// <summary>Waits until all is as at the beginning.</summary>
    /// <param name="workers">So many serve, or could.</param>
    /// <returns>Bytes of memory that are in use.</returns>
    public async Task<long> RestAsync(int workers)
    {
        while (_cluster.Workers.Count < workers) _cluster.Add();
        await _cluster.ReadyAsync(workers);
        // One that needs all blocks comes last: it waits until nobody holds one, and a worker that still had one for another would refuse it.
        var whole = new ChaosRequest(0).Body();
        (whole["prompt"], whole["max_tokens"], whole["n"], whole["ignore_eos"], whole["stop"]) = ("all of it", 500, 1, true, null);
        using var answer = await _cluster.Http.PostAsync("/v1/completions", new StringContent(whole.ToJsonString(), Encoding.UTF8, "application/json"));
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        Assert.True(
            SpinWait.SpinUntil(
                () => _levels["llamacluster.kv.blocks.used"] + _levels["llamacluster.sequences.running"] + _levels["llamacluster.queue.length"] == 0,
                CliProcess.Deadline),
            $"{_levels["llamacluster.kv.blocks.used"]} blocks are held, {_levels["llamacluster.sequences.running"]} sequences run "
            + $"and {_levels["llamacluster.queue.length"]} wait, although all have ended");
        Assert.Equal(ChaosCluster.KvTokens / 16, _levels["llamacluster.kv.blocks.cached"] + _levels["llamacluster.kv.blocks.free"]);
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    /// <summary>Lets a time pass that was drawn by lot: however short it is, some.</summary>
    public static async Task PassAsync(TimeSpan time)
    {
        using var timer = new PeriodicTimer(time.TotalMilliseconds >= 1 ? time : TimeSpan.FromMilliseconds(1));
        await timer.WaitForNextTickAsync();
    }

    async Task SendAsync(Random random, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            var request = new ChaosRequest(random.Next(_undisturbed.Count));
            if (random.Next(8) == 0)
            {
                await _client.AbandonAsync(request, random.Next(30));
                continue;
            }
            var answer = await _client.AnswerAsync(request);
            Assert.True(_undisturbed[request.Number] == answer, $"request {request.Number}: expected\n{_undisturbed[request.Number]}\nbut got\n{answer}");
            Interlocked.Increment(ref _answers);
            CheckView();
        }
    }

    /// <summary>Views only grow.</summary>
    void CheckView()
    {
        var known = Interlocked.Read(ref _view);
        var now = (long)_cluster.Host.Status.Value.ViewVersion;
        Assert.True(now >= known, $"view {now} is in force after view {known}");
        Interlocked.CompareExchange(ref _view, now, known);
    }
}
