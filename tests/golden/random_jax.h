/* Made by make_random_jax.py with jax 0.10.2; do not edit. */
static const struct {
    uint64_t seed;
    uint32_t key[2];
} jax_keys[] = {
    {0u, {0x00000000u, 0x00000000u}},
    {1u, {0x00000000u, 0x00000001u}},
    {42u, {0x00000000u, 0x0000002Au}},
    {4294967295u, {0x00000000u, 0xFFFFFFFFu}},
    {1099511627781u, {0x00000100u, 0x00000005u}},
    {9007199254740991u, {0x001FFFFFu, 0xFFFFFFFFu}},
};
/* fold_in(PRNGKey(42), data) */
static const struct {
    uint32_t data, key[2];
} jax_folds[] = {
    {0u, {0x6D3E048Fu, 0x1022172Du}},          {1u, {0x03D7B32Du, 0xADD083F4u}},
    {7u, {0x97D0552Fu, 0x51BF719Fu}},          {1000000u, {0x509C3C37u, 0xA2ED5843u}},
    {2147483648u, {0xBDA28B29u, 0x84D904A5u}}, {4294967295u, {0x8EF6C48Du, 0xE7EB97CAu}},
};
/* split(PRNGKey(42), 1000)[index] */
static const struct {
    uint64_t index;
    uint32_t key[2];
} jax_splits[] = {
    {0u, {0x6D3E048Fu, 0x1022172Du}}, {1u, {0x03D7B32Du, 0xADD083F4u}},   {2u, {0x92FB20EAu, 0x0F38D913u}},
    {3u, {0xBAD56946u, 0x354BA891u}}, {999u, {0x4BD77909u, 0x1615A853u}},
};
/* from PRNGKey(42): truncated_normal(-2, 2) and uniform(-3, .5); the extremes among them */
static const struct {
    uint64_t index;
    float truncated, between;
} jax_bounded[] = {
    {0u, -0x1.baa3680000000p-6f, -0x1.4a1dc00000000p+0f},
    {1u, 0x1.c70bc40000000p-2f, -0x1.3dcdb00000000p-1f},
    {2u, 0x1.20a4620000000p-2f, -0x1.afa4380000000p-1f},
    {3u, 0x1.2c0c6a0000000p-3f, -0x1.0954600000000p+0f},
    {1000u, 0x1.4e7f9c0000000p-1f, -0x1.6ebb100000000p-2f},
    {269600u, 0x1.fffdee0000000p+0f, 0x1.fffe5c0000000p-2f},
    {427182u, -0x1.0bf7ee0000000p-18f, -0x1.4000620000000p+0f},
    {989131u, -0x1.ffffb20000000p+0f, -0x1.7ffff80000000p+1f},
};
/* bernoulli(PRNGKey(42), .8): how many of 2^20 */
static const int jax_kept = 838647;
/* draws from PRNGKey(42) in one dimension: the extremes of 2^20 of them among the rest */
static const struct {
    uint64_t index;
    uint32_t bits;
    float uniform, normal;
} jax_draws[] = {
    {0u, 0x7D1C13A2u, 0x1.f470480000000p-2f, -0x1.cfbe2a0000000p-6f},
    {1u, 0xAE0730D9u, 0x1.5c0e600000000p-1f, 0x1.de57d00000000p-2f},
    {2u, 0x9DC3F9F9u, 0x1.3b87f00000000p-1f, 0x1.2eccc20000000p-2f},
    {3u, 0x8F9EC1D7u, 0x1.1f3d800000000p-1f, 0x1.3a76480000000p-3f},
    {1000u, 0xC13BC9B8u, 0x1.8277900000000p-1f, 0x1.61247c0000000p-1f},
    {5000u, 0x961F6836u, 0x1.2c3ed00000000p-1f, 0x1.bf277e0000000p-3f},
    {5001u, 0x7D50EDB5u, 0x1.f543b00000000p-2f, -0x1.ae9c560000000p-6f},
    {5002u, 0x899B9102u, 0x1.1337200000000p-1f, 0x1.81e55e0000000p-4f},
    {5003u, 0x375C2BF3u, 0x1.bae1500000000p-3f, -0x1.91e1180000000p-1f},
    {5004u, 0x3BFA43B4u, 0x1.dfd2100000000p-3f, -0x1.7318f80000000p-1f},
    {5005u, 0x1FC7F07Eu, 0x1.fc7f000000000p-4f, -0x1.278e4a0000000p+0f},
    {5006u, 0x9EC5008Du, 0x1.3d8a000000000p-1f, 0x1.3955340000000p-2f},
    {5007u, 0x4B1FDC46u, 0x1.2c7f700000000p-2f, -0x1.162dfc0000000p-1f},
    {5008u, 0x7BA0A90Fu, 0x1.ee82a00000000p-2f, -0x1.5ed4340000000p-5f},
    {5009u, 0x06D6BE06u, 0x1.b5af800000000p-6f, -0x1.ee72f00000000p+0f},
    {5010u, 0x4E4D5AC4u, 0x1.3935680000000p-2f, -0x1.03e3d40000000p-1f},
    {5011u, 0x5197B8F5u, 0x1.465ee00000000p-2f, -0x1.e2968e0000000p-2f},
    {5012u, 0x50E58CC3u, 0x1.4396300000000p-2f, -0x1.ea666e0000000p-2f},
    {5013u, 0x07306210u, 0x1.cc18800000000p-6f, -0x1.e8e60a0000000p+0f},
    {5014u, 0xE0E11CD1u, 0x1.c1c2380000000p-1f, 0x1.2acd880000000p+0f},
    {5015u, 0xBEC7AB4Bu, 0x1.7d8f540000000p-1f, 0x1.51b2ca0000000p-1f},
    {269600u, 0xFFFFE29Bu, 0x1.ffffc40000000p-1f, 0x1.28d63c0000000p+2f},
    {427182u, 0x7FFFE585u, 0x1.ffff900000000p-2f, -0x1.13baa60000000p-18f},
    {989131u, 0x0000046Au, 0x1.0000000000000p-22f, -0x1.40d1ae0000000p+2f},
    {1048575u, 0x7A13E3D5u, 0x1.e84f880000000p-2f, -0x1.db4f060000000p-5f},
};
/* sums over all 2^20 draws */
static const uint32_t jax_bits_sum = 0x5D2FD80Fu; /* modulo 2^32 */
static const double jax_normal_sum = 417.8471132724426;
static const double jax_normal_squares = 1048785.7678720008;
/* From here on with jax_threefry_partitionable off: split(PRNGKey(42), count)[index] */
static const struct {
    uint64_t count, index;
    uint32_t key[2];
} jax_original_splits[] = {
    {1u, 0u, {0x03D7B32Du, 0xADD083F4u}},      {2u, 0u, {0x92FB20EAu, 0xDB4C98DBu}},
    {2u, 1u, {0x0F38D913u, 0x0FF68959u}},      {3u, 0u, {0xBAD56946u, 0xDE837C89u}},
    {3u, 1u, {0xDF4F11DFu, 0x354BA891u}},      {3u, 2u, {0x2FC69B62u, 0x8CDB9797u}},
    {4u, 0u, {0xB013AEE3u, 0x997E0266u}},      {4u, 2u, {0xC34EDDF6u, 0x48EBCD9Fu}},
    {4u, 3u, {0x0A56F817u, 0x00D226AFu}},      {8u, 0u, {0x3C999167u, 0x6AD8072Eu}},
    {8u, 4u, {0x8E776FEAu, 0x09F7B18Fu}},      {8u, 7u, {0x2E37D76Du, 0x23FB1C18u}},
    {1000u, 0u, {0xC9B0B605u, 0x20FFA9D0u}},   {1000u, 500u, {0x088B7FBDu, 0xD787D1AEu}},
    {1000u, 999u, {0xF58E7229u, 0xFD772119u}},
};
/* bits and normals of PRNGKey(42) in a shape of count numbers, odd and even */
static const struct {
    uint64_t count, index;
    uint32_t bits;
    float normal;
} jax_original_draws[] = {
    {1u, 0u, 0x6D3E048Fu, -0x1.7a4a2a0000000p-3f},
    {2u, 0u, 0x03D7B32Du, -0x1.15bcdc0000000p+1f},
    {2u, 1u, 0xADD083F4u, 0x1.dbf4ae0000000p-2f},
    {3u, 0u, 0x92FB20EAu, 0x1.7ed8060000000p-3f},
    {3u, 1u, 0x19A3F86Fu, -0x1.47d8b60000000p+0f},
    {3u, 2u, 0x0F38D913u, -0x1.8f2f260000000p+0f},
    {5u, 0u, 0xBAD56946u, 0x1.397ad40000000p-1f},
    {5u, 2u, 0x3249C374u, -0x1.b575ac0000000p-1f},
    {5u, 3u, 0x354BA891u, -0x1.a01e7a0000000p-1f},
    {5u, 4u, 0x2FC69B62u, -0x1.c7e32a0000000p-1f},
    {6u, 0u, 0xBAD56946u, 0x1.397ad40000000p-1f},
    {6u, 2u, 0xDF4F11DFu, 0x1.23282c0000000p+0f},
    {6u, 3u, 0x354BA891u, -0x1.a01e7a0000000p-1f},
    {6u, 4u, 0x2FC69B62u, -0x1.c7e32a0000000p-1f},
    {6u, 5u, 0x8CDB9797u, 0x1.0285a20000000p-3f},
    {1001u, 0u, 0xF4AF899Du, 0x1.b4351c0000000p+0f},
    {1001u, 500u, 0x406F5157u, -0x1.569b660000000p-1f},
    {1001u, 501u, 0xB15DCD7Au, 0x1.02006e0000000p-1f},
    {1001u, 1000u, 0x51D8493Au, -0x1.dfc3a60000000p-2f},
    {1048576u, 0u, 0x8EC2E297u, 0x1.290bdc0000000p-3f},
    {1048576u, 524287u, 0x0CD442F0u, -0x1.a4ccda0000000p+0f},
    {1048576u, 524288u, 0x1759A461u, -0x1.5555340000000p+0f},
    {1048576u, 524289u, 0x8785026Bu, 0x1.2dda6c0000000p-4f},
    {1048576u, 1048575u, 0x997F383Cu, 0x1.025c580000000p-2f},
};
static const uint32_t jax_original_sum = 0xC1DFA5FCu; /* of the last count's bits, modulo 2^32 */
