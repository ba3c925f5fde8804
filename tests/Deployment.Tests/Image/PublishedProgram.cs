using System.Diagnostics;
using LlamaCluster.Testing;

namespace LlamaCluster.Deployment.Tests.Image;

/// <summary>
/// The program as `dotnet publish` makes it for the image, and as one file. Made once for all tests that want it, with build folders of its own. It is not
/// compiled ahead, which would take minutes each time and changes no file that is needed; with <see cref="Compiled"/>=1 it is.
/// <see cref="Published"/> names a folder where both have been made already, as "folder" and "file": nothing is made then.
/// </summary>
public sealed class PublishedProgram : IDisposable
{
    const string Compiled = "LLAMACLUSTER_TESTS_PUBLISH_COMPILED";

    const string Published = "LLAMACLUSTER_TEST_PUBLISHED";

    static readonly TimeSpan Deadline = TimeSpan.FromMinutes(15);

    readonly TempFolder _folder = new();
    readonly Lazy<string> _inFolder;
    readonly Lazy<string> _inOneFile;

    public PublishedProgram()
    {
        _inFolder = new(() => Publish("folder"));
        _inOneFile = new(() =>
        {
            _ = InFolder;   // has built what the file is made of; to build it again takes half a minute and gives the same bytes
            return Publish("file", "--no-build", "-p:PublishSingleFile=true");
        });
        EmptyRoot.LetAllRead(_folder.Path);
    }

    /// <summary>A folder with all that the program needs.</summary>
    public string InFolder => _inFolder.Value;

    /// <summary>A folder with the program as one file.</summary>
    public string InOneFile => _inOneFile.Value;

    public void Dispose() => _folder.Dispose();

    string Publish(string name, params string[] more)
    {
        if (Environment.GetEnvironmentVariable(Published) is { } published) return Path.Combine(published, name);
        var target = _folder.File(name);
        string[] arguments =
        [
            "publish", Path.Combine(SharedFiles.Repository, "src", "Cli"), "-c", "Release", "-r", "linux-x64", "--self-contained", "-o", target,
            "--artifacts-path", _folder.File("artifacts"), "-p:RunAnalyzers=false", "-v", "quiet", "-nologo", "-nodeReuse:false", .. more,
        ];
        if (Environment.GetEnvironmentVariable(Compiled) != "1") arguments = [.. arguments, "-p:PublishReadyToRun=false"];
        using var dotnet = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, error) = (dotnet.StandardOutput.ReadToEndAsync(), dotnet.StandardError.ReadToEndAsync());
        if (!dotnet.WaitForExit(Deadline))
        {
            dotnet.Kill(entireProcessTree: true);
            throw new TimeoutException($"dotnet publish did not end within {Deadline}");
        }
        Assert.True(dotnet.ExitCode == 0, $"dotnet publish: {output.GetAwaiter().GetResult()}{error.GetAwaiter().GetResult()}");
        return target;
    }
}
