using System.ComponentModel;
using System.Diagnostics;

namespace LlamaCluster.Testing.Npm;

/// <summary>
/// The npm packages of package.json and the tests' scripts, in a folder among the build outputs. They are installed when the first test needs them, and
/// again when package.json changes.
/// </summary>
/// <param name="NotRun">Why tests cannot use them although nothing is wrong with the repository: there is no npm, or it reaches no registry.</param>
/// <param name="Failure">What npm reported if it failed for any other reason.</param>
public sealed record NodePackages(string Folder, string? NotRun, string? Failure)
{
    const string Home = "tests/Testing", Packages = "node_modules";

    /// <summary>Folders with scripts of tests.</summary>
    static readonly string[] Scripts = ["tests/Integration.Tests/Clients", "tests/Integration.Tests/WebPage", "tests/Coordinator.Tests/Api/Clients"];

    /// <summary>For the installation: 20 seconds of a processor, which all other tests want too.</summary>
    static readonly TimeSpan Deadline = TimeSpan.FromMinutes(5);

    /// <summary>For another process that is installing, and for what it does beside.</summary>
    static readonly TimeSpan OthersDeadline = Deadline + TimeSpan.FromMinutes(1);

    /// <summary>npm's error codes where it has no network, no registry or an empty cache.</summary>
    static readonly string[] NoRegistry =
    [
        "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ERR_SOCKET_TIMEOUT", "EHOSTUNREACH", "ENETUNREACH", "ENOTCACHED",
        "E407", "E502", "E503", "E504",
    ];

    static readonly Lazy<NodePackages> Once = new(() => Install(Path.Combine(SharedFiles.Repository, Home, "obj", "clients")));

    public static NodePackages Installed => Once.Value;

    /// <param name="options">Further options of `npm install`.</param>
    public static NodePackages Install(string folder, string npm = "npm", params string[] options)
    {
        using var oneAtATime = new Mutex(initiallyOwned: false, "Global\\llamacluster-node-packages");
        if (!Take(oneAtATime)) return new(folder, $"another process has been installing the npm packages for {OthersDeadline.TotalSeconds} s", null);
        try
        {
            foreach (var script in Scripts.SelectMany(of => Directory.EnumerateFiles(Path.Combine(SharedFiles.Repository, of), "*.mjs")))
                Write(folder, Path.GetFileName(script), File.ReadAllText(script));
            var wanted = File.ReadAllText(Path.Combine(SharedFiles.Repository, Home, "Npm", "package.json"));
            var mark = Path.Combine(folder, "installed.json");
            if (File.Exists(mark) && File.ReadAllText(mark) == wanted) return new(folder, null, null);
            Write(folder, "package.json", wanted);
            // Of an npm that was killed, the next one takes a package for whole that has only its first files.
            if (Directory.Exists(Path.Combine(folder, Packages))) Directory.Delete(Path.Combine(folder, Packages), recursive: true);
            var result = Run(folder, npm, options);
            if (result is { NotRun: null, Failure: null }) Write(folder, "installed.json", wanted);
            return result;
        }
        finally
        {
            oneAtATime.ReleaseMutex();
        }
    }

    static NodePackages Run(string folder, string npm, string[] options)
    {
        var start = new ProcessStartInfo(npm, ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", .. options])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var process = Process.Start(start)!;
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            if (!process.WaitForExit(Deadline))
            {
                process.Kill(entireProcessTree: true);
                return new(folder, $"npm did not get the packages within {Deadline.TotalSeconds} s", null);
            }
            if (process.ExitCode == 0) return new(folder, null, null);
            var code = NoRegistry.FirstOrDefault(code => errors.Result.Contains($"code {code}", StringComparison.Ordinal));
            return code is null
                ? new(folder, null, $"npm install failed in {folder}:\n{errors.Result}{output.Result}")
                : new(folder, $"npm reaches no registry ({code})", null);
        }
        catch (Win32Exception)
        {
            return new(folder, "npm is not on the PATH", null);
        }
    }

    static bool Take(Mutex mutex)
    {
        try
        {
            return mutex.WaitOne(OthersDeadline);
        }
        catch (AbandonedMutexException)
        {
            return true;   // the process that had it died, and left no mark of an installation
        }
    }

    /// <summary>Leaves a file alone that is right already: another process may be reading it.</summary>
    static void Write(string folder, string name, string text)
    {
        var path = Path.Combine(Directory.CreateDirectory(folder).FullName, name);
        if (!File.Exists(path) || File.ReadAllText(path) != text) File.WriteAllText(path, text);
    }
}
