using FsCheck;
using FsCheck.Fluent;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>A random load: what arrives, when, and how tight the cluster is.</summary>
public sealed record Workload(int Stages, int Blocks, int MaxStepRows, int MaxPromptRows, int MaxRunning, int MaxWaiting, Workload.Arrival[] Arrivals)
{
    /// <param name="AtTick">A tick is one returned step, or one idle look.</param>
    /// <param name="StopAfter">How many tokens until a stop id is generated.</param>
    public sealed record Arrival(int AtTick, int PromptLength, int MaxTokens, int StopAfter, int? CancelAtTick, bool PromptLogprobs);

    static readonly Gen<Arrival> EachArrival =
        from tick in Gen.Choose(0, 60)
        from prompt in Gen.Frequency((4, Gen.Choose(1, 40)), (1, Gen.Choose(1, 300)))
        from tokens in Gen.Frequency((6, Gen.Choose(1, 60)), (1, Gen.Constant(0)))
        from stop in Gen.Choose(1, 90)
        from cancel in Gen.Frequency((3, Gen.Constant<int?>(null)), (1, Gen.Choose(0, 200).Select(at => (int?)at)))
        from logprobs in Gen.Elements(true, false)
        select new Arrival(tick, prompt, tokens, stop, cancel, logprobs);

    public static Arbitrary<Workload> Any { get; } = Arb.From(
        from stages in Gen.Choose(1, 5)
        from blocks in Gen.Choose(1, 40)
        from running in Gen.Choose(1, 20)
        from rows in Gen.Choose(running + 1, running + 130)
        from promptRows in Gen.Choose(1, 130)
        from waiting in Gen.Choose(1, 40)
        from count in Gen.Choose(1, 40)
        from arrivals in Gen.ArrayOf(EachArrival, count)
        select new Workload(stages, blocks, rows, promptRows, running, waiting, arrivals), Shrink);

    static IEnumerable<Workload> Shrink(Workload load)
    {
        for (var i = 0; i < load.Arrivals.Length; i++) yield return load with { Arrivals = [.. load.Arrivals[..i], .. load.Arrivals[(i + 1)..]] };
    }

    public override string ToString() =>
        $"stages {Stages}, blocks {Blocks}, rows {MaxStepRows}/{MaxPromptRows}, running {MaxRunning}, waiting {MaxWaiting}: {string.Join(" ", (object[])Arrivals)}";
}
