using System.Diagnostics.CodeAnalysis;

namespace LlamaCluster.Cluster;

/// <summary>What decides where caches are kept; a test has its own.</summary>
/// <param name="CacheHome">XDG_CACHE_HOME, or null.</param>
/// <param name="Home">The user's home folder; null or empty if the user has none.</param>
/// <param name="System">Where services without a home folder keep caches.</param>
/// <param name="Temporary">The folder for temporary files.</param>
/// <param name="User">The user's name, or "" if the system does not know it.</param>
sealed record CachePlaces(string? CacheHome, string? Home, string System, string Temporary, string User)
{
    public static CachePlaces OfThisProcess() => OperatingSystem.IsWindows()
        ? new(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), null, "", Path.GetTempPath(), Environment.UserName)
        : new(
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME"), Environment.GetEnvironmentVariable("HOME"), "/var/cache", Path.GetTempPath(),
            Environment.UserName);
}

/// <summary>
/// The folder for what this program can get again: weights that were fetched, hashes and measurements. It is the first of these that can be written to:
/// XDG_CACHE_HOME, .cache in the home folder, /var/cache, a folder of the user's own among the temporary files. Never one relative to the working folder.
/// </summary>
/// <param name="Why">Why it is not in the usual place, in one line; empty if it is.</param>
public sealed record CacheRoot(string Folder, string Why)
{
    const string Name = "llamacluster";

    public string Weights => Path.Combine(Folder, "weights");

    public string Profiles => Path.Combine(Folder, "profiles");

    public string Hashes => Path.Combine(Folder, "hashes");

    /// <summary>Finds the folder, and makes it if it is not there.</summary>
    /// <exception cref="IOException">No folder can be written to; the message says what to do.</exception>
    public static CacheRoot Find() => Find(CachePlaces.OfThisProcess());

    /// <inheritdoc cref="Find()"/>
    internal static CacheRoot Find(CachePlaces places)
    {
        List<string> reasons = [];
        if (places.CacheHome is { Length: > 0 } caches && TryUse("XDG_CACHE_HOME", caches, Name, reasons, out var root)) return new(root, "");
        var homeProblem = HomeProblem(places.Home);
        if (homeProblem is not null) reasons.Add(homeProblem);
        else if (TryUse("HOME", places.Home!, Path.Combine(".cache", Name), reasons, out root)) return new(root, Sentence(reasons));
        if (places.System.Length > 0 && TryUse("", places.System, Name, reasons, out root)) return new(root, Sentence(reasons));
        return new(OfUser(places, reasons), Sentence(reasons));
    }

    static string? HomeProblem(string? home) =>
        string.IsNullOrEmpty(home) ? "there is no home folder"
        : !Path.IsPathFullyQualified(home) ? $"the home folder {home} is not a full path"
        : !Directory.Exists(home) ? $"the home folder {home} does not exist"
        : null;

    static bool TryUse(string setting, string parent, string name, List<string> reasons, [NotNullWhen(true)] out string? root)
    {
        root = Path.Combine(parent, name);
        var problem = Path.IsPathFullyQualified(parent) ? WriteProblem(root) : "it is not a full path";
        if (problem is null) return true;
        var given = setting.Length > 0 ? $"{setting} is {parent}, but " : "";
        reasons.Add($"{given}nothing can be written to {root}: {problem}");
        return false;
    }

    static string? WriteProblem(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
            File.Create(Path.Combine(folder, $".{Guid.NewGuid():N}"), 1, FileOptions.DeleteOnClose).Dispose();
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            return e.Message.ReplaceLineEndings(" ");
        }
    }

    /// <summary>
    /// Others can write to the folder for temporary files. So the user's own in it must be owned by this user, who alone may use it; else it is
    /// another one, of a name that nobody could know.
    /// </summary>
    static string OfUser(CachePlaces places, List<string> reasons)
    {
        var user = new string([.. places.User.Where(char.IsAsciiLetterOrDigit)]);
        var own = Path.Combine(Path.GetFullPath(places.Temporary), user.Length > 0 ? $"{Name}-{user}" : Name);
        if (TryOwn(own) && WriteProblem(own) is null) return own;
        reasons.Add($"{own} is not this user's alone");
        try
        {
            return Directory.CreateTempSubdirectory($"{Name}-").FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var all = $"{Sentence(reasons)}; {e.Message.ReplaceLineEndings(" ")}";
            throw new IOException($"there is no folder to keep caches in ({all}): give --cache DIR and --profiles DIR");
        }
    }

    static bool TryOwn(string folder)
    {
        if (OperatingSystem.IsWindows()) return true;
        const UnixFileMode mine = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        try
        {
            Directory.CreateDirectory(folder, mine);
            if (new DirectoryInfo(folder).LinkTarget is not null) return false;
            File.SetUnixFileMode(folder, mine);   // only its owner may
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    static string Sentence(List<string> reasons) => string.Join("; ", reasons);
}
