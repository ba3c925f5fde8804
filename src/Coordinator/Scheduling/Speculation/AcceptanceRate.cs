namespace LlamaCluster.Coordinator.Scheduling.Speculation;

/// <summary>
/// How probable it is that a sequence's next drafted token is the one that will be sampled, learnt from those before: a moving mean over the
/// last drafts that were looked at. A rate so low that nothing is drafted any more comes back slowly, so that it is tried again.
/// </summary>
sealed class AcceptanceRate
{
    const double First = 0.5;
    const double Weight = 1.0 / 8;
    const double Recovery = 1.0 / 64;

    public double Value { get; private set; } = First;

    /// <summary>Drafts were verified: all that were accepted, and the first that was not, have been looked at.</summary>
    public void Verified(int drafted, int accepted)
    {
        for (var i = 0; i < accepted; i++) Value += (1 - Value) * Weight;
        if (accepted < drafted) Value -= Value * Weight;
    }

    /// <summary>There was something to draft, but it did not seem worth it.</summary>
    public void Recover() => Value = Math.Max(Value, Value + (First - Value) * Recovery);
}
