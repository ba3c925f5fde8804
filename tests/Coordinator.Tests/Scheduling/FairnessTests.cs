using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class FairnessTests
{
    const int MaxRunning = 4;
    const int MaxPromptRows = 24;

    /// <param name="Length">Of each of its prompts.</param>
    /// <param name="Tokens">Of each of its answers.</param>
    public sealed record Habit(int Sequences, int Length, int Tokens);

    public sealed record Load(int Stages, int PromptLead, Habit[] Clients);

    static readonly Arbitrary<Load> Loads = Arb.From(
        from stages in Gen.Choose(1, 4)
        from lead in Gen.Choose(0, 100)
        from clients in Gen.ArrayOf(
            from sequences in Gen.Choose(20, 60)
            from length in Gen.Choose(1, 120)
            from tokens in Gen.Choose(1, 40)
            select new Habit(sequences, length, tokens)).Resize(5).Where(clients => clients.Length > 1)
        select new Load(stages, lead, clients));

    /// <summary>
    /// While a client waits it is behind no other by more than what the other's sequences that had begun could still ask for, and the lead
    /// of a begun prompt: those who ask for much do not keep those from their share who ask for little.
    /// </summary>
    [Fact]
    public void Clients_that_wait_are_served_alike() => Prop.ForAll(Loads, load =>
    {
        var scheduler = new StepScheduler(
            new SchedulerLimits
            {
                StepsInFlight = load.Stages,
                MaxPromptRows = MaxPromptRows,
                MinPromptRows = 8,
                MaxRunning = MaxRunning,
                MaxWaiting = 1000,
                PromptLead = load.PromptLead,
            },
            new KvBlockPool(1000));
        List<SequenceRun> all = [];
        foreach (var (number, client) in load.Clients.Index())
            for (var i = 0; i < client.Sequences; i++)
                all.Add(TestSequence.Of(
                    (ulong)all.Count + 1,
                    new SequenceRequest([.. Enumerable.Repeat(1000 + all.Count, client.Length)], new SamplingOptions(), client.Tokens, new HashSet<int>())
                    {
                        Client = $"{number}",
                    }));
        foreach (var sequence in all) Assert.Equal(AddOutcome.Queued, scheduler.Add(sequence));

        var bound = load.PromptLead + MaxPromptRows + (MaxRunning * load.Clients.Max(client => client.Length + client.Tokens));
        Queue<ScheduledStep> inFlight = [];
        do
        {
            while (scheduler.Schedule() is { } step) inFlight.Enqueue(step);
            var shares = all.Select(sequence => sequence.Share).Distinct().ToList();
            foreach (var waiting in shares.Where(share => share.First is not null))
                Assert.True(
                    shares.Max(share => share.Served) - waiting.Served <= bound,
                    $"{string.Join(", ", shares.Select(share => share.Served))} with a bound of {bound}");
            var returned = inFlight.Dequeue();
            scheduler.Complete(
                returned, [.. returned.Chunks.Select(chunk => new ChunkResult(chunk.SampleCount == 0 ? [] : [new SampledToken(5, -1, [])], []))]);
        }
        while (inFlight.Count > 0 || scheduler.RunningCount > 0);
        Assert.All(all, sequence => Assert.True(sequence.Ended));
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(60).WithReplay(20251122, 1));

    [Fact]
    public void A_short_prompt_does_not_wait_for_all_of_another_clients_long_one()
    {
        var scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1, MaxPromptRows = 100, PromptLead = 300 }, new KvBlockPool(1000));
        scheduler.Add(Of(1, 5000, "many"));
        var step = scheduler.Schedule()!;
        scheduler.Add(Of(2, 5000, "many"));
        var small = Of(3, 10, "few");
        scheduler.Add(small);
        var rows = step.Rows;
        for (; step.Chunks.All(chunk => chunk.Run != small); rows += step.Rows)
        {
            scheduler.Complete(step, [.. step.Chunks.Select(_ => ChunkResult.Empty)]);
            step = scheduler.Schedule()!;
        }
        Assert.InRange(rows, 300, 600);
    }

    [Fact]
    public void Who_was_away_has_no_claim_and_no_debt_is_forgotten()
    {
        var line = new PriorityClass();
        var (first, second) = (line.Join("first"), line.Join("second"));
        first.Serve(100);
        second.Serve(500);
        line.Leave(first);
        first = line.Join("first");
        Assert.Equal(500, first.Served);   // the least of those present
        line.Leave(second);
        first.Serve(100);
        second.Serve(400);
        Assert.Equal(900, line.Join("second").Served);
        Assert.Equal(600, line.Join("new").Served);
    }

    [Fact]
    public void Who_comes_next_is_who_a_look_at_all_clients_finds()
    {
        var random = new Random(20251129);
        var line = new PriorityClass();
        List<ClientShare> shares = [.. Enumerable.Range(0, 12).Select(number => line.Join($"{number}"))];
        List<(ClientShare Share, SequenceRun Run)> waiting = [];
        for (var i = 0; i < 3000; i++)
        {
            var share = shares[random.Next(shares.Count)];
            switch (random.Next(4))
            {
                case 0:
                    share.Serve(random.Next(3));
                    break;
                case 1:
                    var run = Of((ulong)(3000 - i), 1, "");   // older than all that wait
                    Assert.True(share.Add(run));
                    waiting.Add((share, run));
                    break;
                case 2 when waiting.Count > 0:
                    var gone = waiting[random.Next(waiting.Count)];
                    Assert.True(gone.Share.Remove(gone.Run));
                    waiting.Remove(gone);
                    break;
                default:
                    var found = line.First(sequence => sequence.Id % 3 > 0);
                    var firsts = waiting.GroupBy(one => one.Share, (its, runs) => (its.Served, Run: runs.MinBy(one => one.Run.Id).Run));
                    Assert.Equal(
                        firsts.Where(first => first.Run.Id % 3 > 0).OrderBy(first => (first.Served, first.Run.Id))
                            .Select(first => first.Run).FirstOrDefault(),
                        found);
                    break;
            }
        }
    }

    [Fact]
    public void The_priority_comes_before_the_share()
    {
        var scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1, MaxRunning = 1 }, new KvBlockPool(100));
        int[] priorities = [0, 3, -1, 3, -1];
        foreach (var (i, priority) in priorities.Index()) scheduler.Add(Of((ulong)i + 1, 5, i == 2 ? "other" : "one", priority));
        List<ulong> order = [];
        while (scheduler.Schedule() is { } step)
        {
            order.AddRange(step.Chunks.Where(chunk => chunk.Introduces).Select(chunk => chunk.Run.Id));
            scheduler.Complete(step, [.. step.Chunks.Select(_ => new ChunkResult([new SampledToken(5, -1, [])], []))]);
        }
        Assert.Equal([3, 5, 1, 2, 4], order);
    }

    static SequenceRun Of(ulong id, int length, string client, int priority = 0) => TestSequence.Of(
        id,
        new SequenceRequest([.. Enumerable.Repeat(1000 + (int)id, length)], new SamplingOptions(), 1, new HashSet<int>())
        {
            Client = client,
            Priority = priority,
        });
}
