using FsCheck;
using FsCheck.Fluent;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>A random load: what arrives, when, and how tight the cluster is.</summary>
public sealed record Workload(
    int Stages, int Blocks, int MaxStepRows, int MaxPromptRows,
    int MaxRunning, int MaxWaiting, int MaxWaitingPerClient,
    int PromptLead, bool CachePrefixes, int MaxDraftTokens,
    int DiskBlocks, int DiskSeed, Workload.Arrival[] Arrivals)
{
    /// <summary>Workers with a disk each.</summary>
    public const int Disks = 2;

    /// <summary>What each has buffers for.</summary>
    public const int SpillsAtOnce = 3;

    /// <param name="AtTick">A tick is one returned step, or one idle look.</param>
    /// <param name="Common">So many tokens a prompt has in common with all others of its kind; the rest is its own.</param>
    /// <param name="Variety">How many different tokens are generated: the fewer, the easier they are to guess.</param>
    /// <param name="FailsAfter">After how many chunks that returned the workers cannot go on with it.</param>
    /// <param name="PausedAtTick">When its reader falls behind; it catches up <paramref name="PausedFor"/> ticks later.</param>
    /// <param name="StopAfter">How many tokens until a stop id is generated.</param>
    public sealed record Arrival(
        int AtTick, int PromptLength, int Kind, int Common, int Own, int MaxTokens, int StopAfter,
        int? CancelAtTick, bool PromptLogprobs, int Priority, string Client, string CacheSalt, int Variety,
        int? FailsAfter = null, int? PausedAtTick = null, int PausedFor = 0)
    {
        public int[] Prompt { get; } = [.. Enumerable.Range(0, PromptLength).Select(position => position < Common ? 1000 + Kind : 2000 + Own)];
    }

    static readonly Gen<Arrival> EachArrival =
        from tick in Gen.Choose(0, 60)
        from prompt in Gen.Frequency((3, Gen.Choose(1, 40)), (3, Gen.Elements(27, 45)), (1, Gen.Choose(1, 300)))
        from tokens in Gen.Frequency((6, Gen.Choose(1, 60)), (1, Gen.Constant(0)))
        from stop in Gen.Choose(1, 90)
        from cancel in Gen.Frequency((3, Gen.Constant<int?>(null)), (1, Gen.Choose(0, 200).Select(at => (int?)at)))
        from logprobs in Gen.Frequency((4, Gen.Constant(false)), (1, Gen.Constant(true)))
        from kind in Gen.Choose(0, 2)
        from common in Gen.Frequency((1, Gen.Constant(300)), (3, Gen.Choose(0, 60)))
        from own in Gen.Choose(0, 1000)
        from priority in Gen.Frequency((4, Gen.Constant(0)), (1, Gen.Choose(-1, 2)))
        from client in Gen.Elements("a", "b", "c")
        from salt in Gen.Frequency((6, Gen.Constant("")), (1, Gen.Constant("salt")))
        from variety in Gen.Elements(1, 2, 3, 250)
        from fails in Gen.Frequency((7, Gen.Constant<int?>(null)), (1, Gen.Choose(0, 20).Select(chunks => (int?)chunks)))
        from paused in Gen.Frequency((5, Gen.Constant<int?>(null)), (1, Gen.Choose(0, 120).Select(at => (int?)at)))
        from pause in Gen.Choose(1, 200)
        select new Arrival(tick, prompt, kind, common, own, tokens, stop, cancel, logprobs, priority, client, salt, variety, fails, paused, pause);

    public static Arbitrary<Workload> Any { get; } = Arb.From(
        from stages in Gen.Choose(1, 5)
        from blocks in Gen.Choose(1, 40)
        from running in Gen.Choose(1, 20)
        from rows in Gen.Choose(running + 1, running + 130)
        from promptRows in Gen.Choose(1, 130)
        from waiting in Gen.Choose(1, 40)
        from perClient in Gen.Choose(1, 40)
        from lead in Gen.Choose(0, 300)
        from cache in Gen.Frequency((5, Gen.Constant(true)), (1, Gen.Constant(false)))
        from drafts in Gen.Frequency((1, Gen.Constant(0)), (3, Gen.Choose(1, 9)))
        from disk in Gen.Frequency((1, Gen.Constant(0)), (2, Gen.Choose(1, 60)))
        from seed in Gen.Choose(0, 1000)
        from count in Gen.Choose(1, 40)
        from arrivals in Gen.ArrayOf(EachArrival, count)
        select new Workload(stages, blocks, rows, promptRows, running, waiting, perClient, lead, cache, drafts, cache ? disk : 0, seed, arrivals), Shrink);

    static IEnumerable<Workload> Shrink(Workload load)
    {
        for (var i = 0; i < load.Arrivals.Length && load.Arrivals.Length > 1; i++)
            yield return load with { Arrivals = [.. load.Arrivals[..i], .. load.Arrivals[(i + 1)..]] };
    }

    public override string ToString() =>
        $"stages {Stages}, blocks {Blocks}, rows {MaxStepRows}/{MaxPromptRows}, running {MaxRunning}, waiting {MaxWaiting}/{MaxWaitingPerClient}, "
        + $"lead {PromptLead}, cache {CachePrefixes}, drafts {MaxDraftTokens}, disk {DiskBlocks} {DiskSeed}: {string.Join(" ", (object[])Arrivals)}";
}
