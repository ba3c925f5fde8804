namespace LlamaCluster.Cli.Planning;

/// <summary>
/// The built-in devices, for clusters that do not exist. Cores and memory bandwidth are what the makers' pages give; multiply-adds a second of a core are
/// estimates by its vector width, and no measurements (one core of this project's machine, with AVX-512, was measured at 203e9).
/// </summary>
static class Devices
{
    /// <summary>AVX-512 in full width.</summary>
    const double Avx512 = 150e9;

    /// <summary>Zen 4, which carries AVX-512 out in two halves; http://numberworld.org/blogs/2024_8_7_zen5_avx512_teardown.</summary>
    const double Avx512InHalves = 100e9;

    /// <summary>AVX2, without VNNI or with its 256-bit form.</summary>
    const double Avx2 = 60e9;

    /// <summary>128-bit vectors.</summary>
    const double Narrow = 15e9;

    public static IReadOnlyList<Device> All { get; } =
    [
        new("epyc-9654", 96, 460.8e9, Avx512InHalves),      // 12 x DDR5-4800; https://www.amd.com/en/products/processors/server/epyc/4th-generation-9004-and-8004-series/amd-epyc-9654.html
        new("epyc-7763", 64, 204.8e9, Avx2),                // 8 x DDR4-3200; https://www.amd.com/en/products/processors/server/epyc/7003-series/amd-epyc-7763.html
        new("xeon-8480+", 56, 307.2e9, Avx512),             // 8 x DDR5-4800; https://www.intel.com/content/www/us/en/products/sku/231746/intel-xeon-platinum-8480-processor-105m-cache-2-00-ghz/specifications.html
        new("ryzen-7950x", 16, 83.2e9, Avx512InHalves),     // 2 x DDR5-5200; https://www.amd.com/en/products/processors/desktops/ryzen/7000-series/amd-ryzen-9-7950x.html
        new("core-i5-12400", 6, 76.8e9, Avx2),              // 2 x DDR5-4800; https://www.intel.com/content/www/us/en/products/sku/134586/intel-core-i512400-processor-18m-cache-up-to-4-40-ghz/specifications.html
        new("raspberry-pi-5", 4, 17.1e9, Narrow),           // 32 bits of LPDDR4X-4267; https://datasheets.raspberrypi.com/rpi5/raspberry-pi-5-product-brief.pdf
    ];

    public static Device? Find(string name) => All.FirstOrDefault(device => device.Name == name);
}
