using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing;

namespace LlamaCluster.Deployment.Tests.Image;

/// <summary>
/// A root folder with what the image's base has and nothing else: the system libraries that a self-contained .NET program names. A program in it runs as in a
/// restricted pod: as user 1654, read-only, with 64 MiB of /tmp. It sees this machine's network.
/// </summary>
sealed partial class EmptyRoot : IDisposable
{
    /// <summary>
    /// Of the packages in runtime-deps:10.0-noble-chiseled: libc6, libgcc-s1, libstdc++6, libssl3
    /// (https://github.com/dotnet/dotnet-docker/blob/main/documentation/ubuntu-chiseled.md).
    /// </summary>
    static readonly string[] OfTheBase =
    [
        "ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libssl.so.3",
        "libcrypto.so.3",
    ];

    readonly TempFolder _folder = new();

    /// <param name="program">The folder that becomes /app.</param>
    public EmptyRoot(string program)
    {
        Program = program;
        var libraries = LibrariesOf(program).ToList();
        Missing = [.. libraries.Where(library => !OfTheBase.Contains(Path.GetFileName(library)))];
        foreach (var library in libraries.Concat(LoadedByName())) Copy(library);
        foreach (var folder in new[] { "app", "tmp", "proc", "dev", "data" }) Directory.CreateDirectory(_folder.File($"root/{folder}"));
        Directory.CreateDirectory(_folder.File("root/etc"));
        File.WriteAllText(_folder.File("root/etc/passwd"), "app:x:1654:1654::/home/app:/usr/sbin/nologin\n");
        foreach (var path in new[] { _folder.Path, _folder.File("root") }) LetAllRead(path);
    }

    /// <summary>Why such a root cannot be made here; null if it can.</summary>
    public static string? Problem => Environment.UserName != "root" ? "not run: only root can change its root folder"
        : !File.Exists("/usr/bin/unshare") ? "not run: no unshare, to mount folders for one process" : null;

    public string Program { get; }

    /// <summary>Libraries that the program names and the base has not.</summary>
    public IReadOnlyList<string> Missing { get; }

    /// <summary>Starts the program, with another's process in between: see <see cref="StopAsync"/>.</summary>
    public CliProcess Start(params string[] arguments)
    {
        var script = new StringBuilder("set -e\n");
        var root = _folder.File("root");
        script.AppendLine($"mount --bind {root} {root}; mount --bind {Program} {root}/app; mount -t proc proc {root}/proc");
        script.AppendLine($"mount -t tmpfs -o size=64m,mode=1777 tmpfs {root}/tmp");
        foreach (var device in new[] { "null", "zero", "urandom" })
            script.AppendLine($"touch {root}/dev/{device}; mount --bind /dev/{device} {root}/dev/{device}");
        script.AppendLine($"mount -o remount,ro,bind {root}/app; mount -o remount,ro,bind {root}");
        script.AppendLine($"exec chroot --userspec=1654:1654 --groups= {root} \"$@\"");
        var file = _folder.File("start.sh");
        File.WriteAllText(file, script.ToString());
        Dictionary<string, string?> environment = new()
        {
            ["DOTNET_EnableDiagnostics"] = "0",
            ["DOTNET_BUNDLE_EXTRACT_BASE_DIR"] = "/tmp/net",
            ["DOTNET_ROOT"] = null,
            ["HOME"] = "/home/app",
            ["TMPDIR"] = null,
            ["XDG_STATE_HOME"] = null,
        };
        return CliProcess.StartProgram(environment, ["unshare", "--mount", "--pid", "--fork", "sh", file, .. arguments]);
    }

    /// <summary>
    /// Ends a program as a container runtime does. Signals go to the program itself: the process that waits for it passes none on, and the system forgets
    /// that the program was to end with that one when it becomes another user.
    /// </summary>
    /// <returns>Its exit code.</returns>
    public static async Task<int> StopAsync(CliProcess started, string signal = "TERM")
    {
        if (!Directory.Exists($"/proc/{started.Id}")) return await started.ExitAsync();
        foreach (var program in Signals.ChildrenOf(started.Id))
            using (program) await Signals.SendAsync(signal, program.Id);
        return await started.ExitAsync();
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A test's folders are for its own user alone, and the program runs as another.</summary>
    public static void LetAllRead(string folder)
    {
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);
    }

    void Copy(string library)
    {
        var target = _folder.File($"root{library}");
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        File.Copy(library, target, overwrite: true);
    }

    /// <summary>What the loader finds for the program and for the libraries beside it.</summary>
    static IEnumerable<string> LibrariesOf(string program)
    {
        var start = new ProcessStartInfo("ldd") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(program, "llamacluster"));
        foreach (var library in Directory.GetFiles(program, "*.so")) start.ArgumentList.Add(library);
        using var ldd = Process.Start(start)!;
        var errors = ldd.StandardError.ReadToEndAsync();
        var lines = ldd.StandardOutput.ReadToEnd();
        errors.GetAwaiter().GetResult();
        return LibraryPath().Matches(lines).Select(match => match.Value)
            .Where(path => !path.StartsWith(program, StringComparison.Ordinal) && File.Exists(path)).Distinct();
    }

    /// <summary>.NET's cryptography looks for OpenSSL by its name.</summary>
    static IEnumerable<string> LoadedByName() =>
        Directory.GetFiles("/usr/lib/x86_64-linux-gnu", "lib*.so.3").Where(path => Path.GetFileName(path) is "libssl.so.3" or "libcrypto.so.3");

    [GeneratedRegex(@"/\S+\.so[.\d]*(?=\s\(|\s*$)", RegexOptions.Multiline)]
    private static partial Regex LibraryPath();
}
