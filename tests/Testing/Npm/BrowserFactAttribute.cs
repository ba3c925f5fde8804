using Xunit;

namespace LlamaCluster.Testing.Npm;

/// <summary>
/// A test that drives a browser by a script of Node.js. Where Debian's Chromium is not installed it is reported as not run; .ci/run installs it.
/// </summary>
public sealed class BrowserFactAttribute : FactAttribute
{
    const string Browser = "/usr/bin/chromium";

    public BrowserFactAttribute() =>
        Skip = File.Exists(Browser) ? new NodeFactAttribute().Skip : $"not run: there is no {Browser} (Debian: apt-get install chromium)";
}
