using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>How steps of one load go through the stages of a scheme, in whole picoseconds, whatever layers they have.</summary>
sealed class SchemeFlow(IReadOnlyList<StageTimes> stages, int stepsInFlight, TimeParts between)
{
    const double PerSecond = 1e12;

    public IReadOnlyList<StageTimes> Stages => stages;

    public int StepsInFlight => stepsInFlight;

    /// <summary>What a step's way takes beside its stages: from the coordinator, from stage to stage, and back.</summary>
    public TimeParts Between => between;

    public long TimeOf(int stage, int first, int count) => stages[stage].PicosecondsOf(first, count);

    /// <summary>A step's way through stages that take so long together.</summary>
    public long Latency(long stagesTogether) => between.Picoseconds + stagesTogether;

    /// <summary>
    /// The time in which each step in flight comes round once: its way through all stages, or as long as the slowest stage takes for all steps in
    /// flight, whichever is more.
    /// </summary>
    public long Cycle(long stagesTogether, long slowest) => Math.Max(Latency(stagesTogether), stepsInFlight * slowest);

    public static double Seconds(long picoseconds) => picoseconds / PerSecond;
}
