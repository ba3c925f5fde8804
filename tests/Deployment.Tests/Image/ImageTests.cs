using System.Net;
using System.Net.Http.Json;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing;

namespace LlamaCluster.Deployment.Tests.Image;

/// <summary>What goes into the image, run with no more around it than the image has.</summary>
public sealed class ImageTests(PublishedProgram published) : IClassFixture<PublishedProgram>
{
    [EmptyRootFact]
    public async Task The_published_folder_serves_in_an_empty_root()
    {
        using var root = new EmptyRoot(published.InFolder);
        Assert.Empty(root.Missing);

        await ServesAsync(root, "llamacluster-demo-5m-q8_0");
    }

    [EmptyRootFact]
    public async Task One_file_with_a_model_in_it_serves_in_an_empty_root()
    {
        using var folder = new TempFolder();
        EmptyRoot.LetAllRead(folder.Path);
        await using (var bundle = CliProcess.StartProgram([], [
            Path.Combine(published.InOneFile, "llamacluster"), "bundle", "--model", SharedFiles.Demo("llamacluster-demo-5m-q4_k_m.gguf"),
            "--out", folder.File("llamacluster"),
        ]))
            Assert.True(await bundle.ExitAsync() == 0, bundle.Log);
        using var root = new EmptyRoot(folder.Path);
        Assert.Empty(root.Missing);

        await ServesAsync(root, "llamacluster");
    }

    [Fact]
    public void The_image_is_of_what_is_published_and_names_no_shell()
    {
        var lines = File.ReadAllLines(Path.Combine(SharedFiles.Repository, "deploy", "docker", "Dockerfile"));

        Assert.Contains("ENTRYPOINT [\"/app/llamacluster\"]", lines);
        Assert.Contains("USER $APP_UID", lines);
        Assert.Contains(lines, line => line.StartsWith("RUN dotnet publish src/Cli -c Release", StringComparison.Ordinal) && line.Contains("--self-contained"));
        Assert.Single(lines, line => line.StartsWith("FROM ", StringComparison.Ordinal) && line.EndsWith("-chiseled", StringComparison.Ordinal));
    }

    [Fact(Skip = "not run: no container engine and no image registry: `docker build -f deploy/docker/Dockerfile .`, "
        + "`dotnet publish -t:PublishContainer`, and the image on arm64")]
    public void The_image_is_built_and_runs_on_both_architectures() => Assert.Fail("it needs a container engine");

    static async Task ServesAsync(EmptyRoot root, string model)
    {
        await using var up = root.Start("/app/llamacluster", "up", "--port", "0");
        try
        {
            var ready = (await up.OutputLineAsync()).Split(' ');
            Assert.Equal(("ready", $"model={model}"), (ready[0], ready[2]));
            using var http = new HttpClient { BaseAddress = new Uri(ready[1]), Timeout = CliProcess.Deadline };
            using var answer = await http.PostAsJsonAsync("/v1/completions", new { model, prompt = "A worker", max_tokens = 8 });
            Assert.True(answer.StatusCode == HttpStatusCode.OK, up.Log);
            Assert.True(await EmptyRoot.StopAsync(up) == 0, up.Log);
        }
        finally
        {
            await EmptyRoot.StopAsync(up, "KILL");
        }
    }
}

/// <summary>A test that needs an <see cref="EmptyRoot"/>.</summary>
public sealed class EmptyRootFactAttribute : FactAttribute
{
    public EmptyRootFactAttribute() => Skip = EmptyRoot.Problem;
}
