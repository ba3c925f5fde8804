namespace LlamaCluster.Cli.Bench;

/// <summary>What a stage had done at a moment, or between two.</summary>
/// <param name="BusySeconds">In which its first rank computed.</param>
/// <param name="SyncSeconds">In which its first rank exchanged what it computed with the others.</param>
/// <param name="ActivationBytes">That all its ranks together sent to the next stage.</param>
/// <param name="SyncBytes">That its first rank sent to the others.</param>
readonly record struct StageTotals(double BusySeconds, double SyncSeconds, long ActivationBytes, long SyncBytes)
{
    public static StageTotals operator +(StageTotals a, StageTotals b) =>
        new(a.BusySeconds + b.BusySeconds, a.SyncSeconds + b.SyncSeconds, a.ActivationBytes + b.ActivationBytes, a.SyncBytes + b.SyncBytes);

    public static StageTotals operator -(StageTotals a, StageTotals b) =>
        new(a.BusySeconds - b.BusySeconds, a.SyncSeconds - b.SyncSeconds, a.ActivationBytes - b.ActivationBytes, a.SyncBytes - b.SyncBytes);
}
