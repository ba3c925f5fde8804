namespace LlamaCluster.Cluster;

/// <summary>
/// The user's own folder for what a service keeps from one start to the next, by the XDG base directory specification: XDG_STATE_HOME, else .local/state in
/// the home folder. Services of systemd have STATE_DIRECTORY.
/// </summary>
public static class StateRoot
{
    /// <returns>A folder that may have to be made; null if the user has none.</returns>
    public static string? Find() => OperatingSystem.IsWindows()
        ? In(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "llamacluster/state")
        : Find(Environment.GetEnvironmentVariable);

    internal static string? Find(Func<string, string?> variable) =>
        In(variable("STATE_DIRECTORY")?.Split(':')[0], "")
        ?? In(variable("XDG_STATE_HOME"), "llamacluster")
        ?? In(variable("HOME"), ".local/state/llamacluster");

    static string? In(string? parent, string name) => Path.IsPathFullyQualified(parent ?? "") && Directory.Exists(parent) ? Path.Combine(parent, name) : null;
}
