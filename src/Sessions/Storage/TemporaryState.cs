namespace LlamaCluster.Sessions.Storage;

/// <summary>A place for what ends with this process, in a folder of the system's for temporary files, which only this user can read.</summary>
sealed class TemporaryState : IDisposable
{
    readonly string _folder = Path.Combine(Path.GetTempPath(), $"llamacluster-sessions-{Guid.NewGuid():N}");

    /// <summary>Made when it is first needed.</summary>
    public StatePlace.File Place => new(Path.Combine(_folder, "sessions.db"));

    public void Dispose()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }
}
