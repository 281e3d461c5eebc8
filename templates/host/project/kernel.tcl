# SPDX-License-Identifier: MIT-0
# What makes a packaged IP a kernel for v++.

# Mark the core as a kernel of that control protocol (user_managed or ap_ctrl_hs), as Vivado's own "Package for Vitis"
# does. Its clock may have any rate. Versions before 2021 lack some of these properties, and the need for them.
proc kernel_properties {core protocol} {
  set known [string tolower [list_property $core]]
  foreach {name value} [list sdx_kernel true sdx_kernel_type rtl ipi_drc {ignore_freq_hz true} \
      vitis_drc [list ctrl_protocol $protocol] xpm_libraries {XPM_CDC XPM_FIFO XPM_MEMORY}] {
    if {$name in $known} {
      set_property $name $value $core
    }
  }
}
