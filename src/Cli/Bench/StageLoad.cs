namespace LlamaCluster.Cli.Bench;

/// <summary>What a stage did while all streams decoded.</summary>
/// <param name="BusyFraction">Of the time in which it computed; whatever kept it from the processor meanwhile counts too.</param>
/// <param name="ComputeSeconds">A step's, in the mean.</param>
/// <param name="SyncSeconds">A step's exchanges between the ranks of the stage, in the mean; 0 where there is one rank.</param>
/// <param name="PauseSeconds">Between two steps, in the mean: waiting for the coordinator or for activations, and handing over.</param>
/// <param name="ActivationBytes">Sent to the next stage for a token, by all ranks together, in the mean.</param>
/// <param name="SyncBytes">Sent by the first rank to the others for a token, in the mean.</param>
sealed record StageLoad(
    int Stage, double BusyFraction, double ComputeSeconds, double SyncSeconds, double PauseSeconds, double ActivationBytes, double SyncBytes)
{
    /// <param name="totals">What it did in the given time, in which the cluster did so many steps and generated so many tokens.</param>
    public static StageLoad Of(int stage, StageTotals totals, double seconds, long steps, long tokens)
    {
        var (busy, sync) = (totals.BusySeconds, totals.SyncSeconds);
        return new StageLoad(
            stage, busy / seconds, busy / steps, sync / steps, Math.Max(0, seconds - busy - sync) / steps,
            (double)totals.ActivationBytes / tokens, (double)totals.SyncBytes / tokens);
    }
}
