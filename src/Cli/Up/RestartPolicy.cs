namespace LlamaCluster.Cli.Up;

/// <summary>
/// How often a worker that died is started again: at once it might die of the same, so each pause is twice the last; after a few times it
/// is left alone. One that lived for long begins anew.
/// </summary>
sealed class RestartPolicy
{
    public const int MostRestarts = 5;

    public static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);

    /// <summary>A worker that lived so long did not die of how it was started.</summary>
    public static readonly TimeSpan LongLife = TimeSpan.FromMinutes(1);

    /// <summary>Restarts since it last lived long.</summary>
    public int Restarts { get; private set; }

    /// <returns>How long to wait before the next start; null: do not start it again.</returns>
    public TimeSpan? NextPause(TimeSpan lived)
    {
        if (lived >= LongLife) Restarts = 0;
        return Restarts == MostRestarts ? null : FirstPause * (1 << Restarts++);
    }
}
