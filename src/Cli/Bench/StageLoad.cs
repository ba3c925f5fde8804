namespace LlamaCluster.Cli.Bench;

/// <summary>How a stage spent its time while all streams decoded.</summary>
/// <param name="BusyFraction">In which it computed; whatever kept it from the processor meanwhile counts too.</param>
/// <param name="ComputeSeconds">A step's, in the mean.</param>
/// <param name="SyncSeconds">A step's exchanges between the ranks of the stage, in the mean; 0 where there is one rank.</param>
/// <param name="PauseSeconds">Between two steps, in the mean: waiting for the coordinator or for activations, and handing over.</param>
sealed record StageLoad(int Stage, double BusyFraction, double ComputeSeconds, double SyncSeconds, double PauseSeconds)
{
    public static StageLoad Of(int stage, double busySeconds, double syncSeconds, long steps, double seconds) =>
        new(stage, busySeconds / seconds, busySeconds / steps, syncSeconds / steps, Math.Max(0, seconds - busySeconds - syncSeconds) / steps);
}
