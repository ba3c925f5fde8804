using System.Diagnostics;
using System.Text.RegularExpressions;

namespace LlamaCluster.Deployment.Tests.Kubernetes;

/// <summary>A test that renders overlays. Where there is no kubectl of 1.27 or newer it is reported as not run.</summary>
public sealed class KustomizeFactAttribute : FactAttribute
{
    public KustomizeFactAttribute() => Skip = Kustomize.Problem;
}

/// <inheritdoc cref="KustomizeFactAttribute"/>
public sealed class KustomizeTheoryAttribute : TheoryAttribute
{
    public KustomizeTheoryAttribute() => Skip = Kustomize.Problem;
}

/// <summary>`kubectl kustomize`, which is kustomize itself.</summary>
static partial class Kustomize
{
    /// <summary>Of kubectl 1.27.</summary>
    static readonly Version Oldest = new(5, 0);

    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    static readonly Lazy<string?> Found = new(FindProblem);

    /// <summary>Why overlays cannot be rendered here; null if they can.</summary>
    public static string? Problem => Found.Value;

    /// <returns>The overlay's objects, as YAML documents.</returns>
    public static string Render(string folder)
    {
        var (exit, output, error) = Run("kustomize", folder);
        Assert.True(exit == 0, $"kubectl kustomize {folder}: {error}");
        return output;
    }

    static string? FindProblem()
    {
        if (!Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, "kubectl"))))
            return "not run: no kubectl in PATH";
        var said = Run("version", "--client").Output;
        return VersionLine().Match(said) is { Success: true } match && Version.Parse(match.Groups[1].Value) >= Oldest ? null
            : $"not run: kubectl is older than 1.27 (Kustomize {Oldest}): {said.ReplaceLineEndings(" ")}";
    }

    static (int Exit, string Output, string Error) Run(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("kubectl", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        if (!process.WaitForExit(Deadline))
        {
            process.Kill();
            throw new TimeoutException($"kubectl {string.Join(' ', arguments)} did not end within {Deadline}");
        }
        return (process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
    }

    [GeneratedRegex(@"Kustomize Version: v(\d+\.\d+)")]
    private static partial Regex VersionLine();
}
